import { stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { systemClock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';
import type { GuestDescription } from '../../../protocol/peer/migration.ts';
import type { DestinationOptions } from '../../../port/direct.ts';
import type { DiskTarget, Identifier, NewImage, WrittenFiles } from '../../../port/disks.ts';
import { readSpec } from '../assess.ts';
import type { QemuProgram } from '../programs/binaries.ts';
import { chooseProgram } from '../programs/choose.ts';
import { writtenFiles } from './disk-writers.ts';
import { creationOf, formatImages, makeEmptyFile, type Blank } from './make-image.ts';
import { readProcess } from '../guest/process.ts';
import { asGiven, exportId, isExportId, isUneven, whileFilled } from './exports.ts';
import { QemuDiskWatch } from '../mirror/watch.ts';
import type { QmpClient } from '../qmp/client.ts';
import { helperUser } from '../user/guest-user.ts';
import type { QemuUser } from '../user/ids.ts';

const POLL_MS = 2;
const END_MS = 15_000;
/** Far more than a disk needs: a broken connection may be noticed only after the next one is made. */
const MAX_CONNECTIONS = 1024;

const exports = z
  .array(
    z.object({
      id: z.string().max(1024),
      'node-name': z.string().max(1024),
      'shutting-down': z.boolean().default(false),
    }),
  )
  .max(4096);
type Export = z.infer<typeof exports>[number];

const sizes = z
  .array(
    z.object({
      'node-name': z.string().max(1024).default(''),
      image: z.object({ 'virtual-size': z.number() }),
    }),
  )
  .max(65_536);

export interface Incoming {
  readonly client: QmpClient;
  readonly pid: number;
}

export interface TargetDependencies {
  readonly programs: (signal: AbortSignal) => Promise<QemuProgram[]>;
  readonly images: Identifier;
  readonly user: QemuUser;
}

type Owner = Pick<DestinationOptions, 'host' | 'guest' | 'guestDir' | 'from'>;

/** Empty images for a guest, and exports of its paused QEMU through which they are filled. */
export class QemuDiskTarget implements DiskTarget {
  readonly images: Identifier;
  readonly watch: QemuDiskWatch;
  readonly #owner: Owner;
  readonly #programs: (signal: AbortSignal) => Promise<QemuProgram[]>;
  readonly #user: QemuUser;
  readonly #incoming: (signal: AbortSignal) => Promise<Incoming | undefined>;

  #uneven: ReadonlySet<string> | undefined;

  constructor(
    owner: Owner,
    { programs, images, user }: TargetDependencies,
    incoming: (signal: AbortSignal) => Promise<Incoming | undefined>,
  ) {
    this.#owner = owner;
    this.#programs = programs;
    this.#user = user;
    this.images = images;
    this.#incoming = incoming;
    this.watch = new QemuDiskWatch(owner.guest, async (signal) => (await incoming(signal))?.client);
  }

  async written(signal: AbortSignal): Promise<WrittenFiles | undefined> {
    const incoming = await this.#incoming(signal);
    return incoming === undefined ? undefined : writtenFiles(incoming.client, signal);
  }

  async create(
    description: GuestDescription,
    images: readonly NewImage[],
    signal: AbortSignal,
  ): Promise<void> {
    const blanks = images.map((image) => this.#blankOf(description, image));
    const layered = blanks.flatMap((blank) => {
      if (blank.like.format === 'raw') return [];
      const creation = (node: string): object => creationOf(blank, node) ?? {};
      if (creationOf(blank, '') !== undefined) return [{ file: blank.file, creation }];
      throw this.#failed(blank.node, 'nobody reported with which features to make its image');
    });
    for (const { file, node, like, bytes } of blanks) {
      signal.throwIfAborted();
      await makeEmptyFile(file, like.format === 'raw' ? bytes : 0).catch((cause: unknown) => {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw this.#failed(node, `its image cannot be made: ${reason}`, cause);
      });
    }
    if (layered.length === 0) return;
    const { host, guestDir } = this.#owner;
    const { binary: file, sandbox } = await this.#program(description, signal);
    const as = await helperUser(this.#user, path.dirname(guestDir));
    await formatImages({ file, host, as, sandbox }, layered, signal);
  }

  async serve(nodes: readonly string[], socket: string, signal: AbortSignal): Promise<void> {
    const incoming = await this.#incoming(signal);
    if (incoming === undefined) throw this.#lost();
    const { client } = incoming;
    await this.#listen(client, socket, signal);
    const argv = await argvOf(incoming);
    const uneven = await this.#unevenNodes(client, signal);
    const options = whileFilled(argv, { nodes: new Set(nodes), uneven });
    // Reopened before the export: QEMU cannot export a file of an uneven size for writing without a cache.
    if (options.length > 0) await client.execute('blockdev-reopen', { options }, signal);
    for (const node of nodes) await this.#offer(client, node, signal);
  }

  async end(signal: AbortSignal): Promise<void> {
    const incoming = await this.#incoming(signal);
    if (incoming === undefined) return;
    const { client } = incoming;
    await withDeadline('closing the exports of disks', END_MS, signal, async (inner) => {
      const nodes = (await ours(client, inner)).map((each) => each['node-name']);
      // Read before the exports are gone, so that a repeated call finds it.
      const [argv, uneven] = [await argvOf(incoming), await this.#unevenNodes(client, inner)];
      const even = new Set(nodes.filter((node) => !uneven.has(node)));
      const options = asGiven(argv, { nodes: even });
      if (options.length > 0) await client.execute('blockdev-reopen', { options }, inner);
      for (;;) {
        const left = await ours(client, inner);
        if (left.length === 0) break;
        for (const each of left) {
          if (each['shutting-down']) continue;
          // Connected clients have nothing left to write. Refused if the export has gone meanwhile.
          await client.request('block-export-del', { id: each.id, mode: 'hard' }, inner);
        }
        await systemClock.sleep(POLL_MS, inner);
      }
      // Reopened only now: QEMU cannot write to uneven images without a cache while it exports them. Can run twice.
      const last = asGiven(argv, { nodes: uneven, uneven });
      if (last.length > 0) await client.execute('blockdev-reopen', { options: last }, inner);
      const answer = await client.request('nbd-server-stop', {}, inner);
      if (!answer.ok && !/not running/.test(answer.reason)) {
        throw client.refused('nbd-server-stop', answer.reason);
      }
    });
  }

  async #listen(client: QmpClient, socket: string, signal: AbortSignal): Promise<void> {
    const server = {
      addr: { type: 'unix', data: { path: socket } },
      'max-connections': MAX_CONNECTIONS,
    };
    const answer = await client.request('nbd-server-start', server, signal);
    if (answer.ok) return;
    if (!/already running/.test(answer.reason)) {
      throw client.refused('nbd-server-start', answer.reason);
    }
    const there = await stat(socket).then(
      (info) => info.isSocket(),
      () => false,
    );
    if (there) return;
    // The socket was removed, so the server is unreachable there.
    await client.execute('nbd-server-stop', {}, signal);
    await client.execute('nbd-server-start', server, signal);
  }

  /** Images of an uneven size, exported or not. The size never changes, so it is read once. */
  async #unevenNodes(client: QmpClient, signal: AbortSignal): Promise<ReadonlySet<string>> {
    if (this.#uneven !== undefined) return this.#uneven;
    const live = await client.query('query-named-block-nodes', { flat: true }, sizes, signal);
    const uneven = live.filter(({ image }) => isUneven(image['virtual-size']));
    this.#uneven = new Set(uneven.map((each) => each['node-name']));
    return this.#uneven;
  }

  async #offer(client: QmpClient, node: string, signal: AbortSignal): Promise<void> {
    const id = exportId(node);
    for (;;) {
      const known = (await ours(client, signal)).find((each) => each.id === id);
      if (known === undefined) break;
      if (!known['shutting-down']) return;
      await systemClock.sleep(POLL_MS, signal);
    }
    const offer = { type: 'nbd', id, 'node-name': node, name: node, writable: true };
    await client.execute('block-export-add', offer, signal);
  }

  #blankOf(description: GuestDescription, image: NewImage): Blank {
    const { blockNodes = [] } = readSpec(description, this.#owner);
    const like = blockNodes.find(({ node }) => node === image.node);
    const seen = (description.disks ?? [])
      .flatMap(({ images }) => images)
      .find(({ node }) => node === image.node);
    if (like === undefined || seen === undefined) {
      throw this.#failed(image.node, 'the guest has no such disk');
    }
    const below = blockNodes.find(({ node }) => node === like.backing);
    return { ...image, like, bytes: seen.bytes, backingFormat: below?.format };
  }

  async #program(description: GuestDescription, signal: AbortSignal): Promise<QemuProgram> {
    const programs = await this.#programs(signal);
    const { hypervisorVersion } = description;
    const choice = chooseProgram(hypervisorVersion, readSpec(description, this.#owner), programs);
    if (choice.kind === 'program') return choice.program;
    throw godwitError('GODWIT_HOST_LACKS', { what: 'a QEMU for this guest' });
  }

  #lost(): Error {
    const { guest } = this.#owner;
    const reason = 'it has not been started';
    return godwitError('GODWIT_HYPERVISOR_LOST', { side: 'destination', guest, reason });
  }

  #failed(device: string, reason: string, cause?: unknown): Error {
    const { guest } = this.#owner;
    return godwitError('GODWIT_DISK_FAILED', { guest, device, reason }, { cause });
  }
}

async function argvOf({ pid }: Incoming): Promise<readonly string[]> {
  return (await readProcess(pid))?.argv ?? [];
}

async function ours(client: QmpClient, signal: AbortSignal): Promise<Export[]> {
  const all = await client.query('query-block-exports', {}, exports, signal);
  return all.filter(({ id }) => isExportId(id));
}
