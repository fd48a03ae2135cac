import type { StartPermission } from '../../migration/permission/permission.ts';
import path from 'node:path';
import { godwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import type { HypervisorInfo } from '../../protocol/public/hosts/host.ts';
import type { CurvePoint } from '../../protocol/public/prediction.ts';
import type { GuestProcessor, ProcessorOffer } from '../../protocol/public/hosts/processor.ts';
import { lifeOf, type Life } from '../../system/processes/life.ts';
import type { FrozenImage } from '../../port/disks.ts';
import type {
  DestinationOptions,
  DestinationSession,
  DirectDriver,
  Launch,
  SourceSession,
} from '../../port/direct.ts';
import type {
  DiscoverOptions,
  DiscoveredGuest,
  GuestDirectory,
  GuestHandle,
  GuestLayout,
  HandleFacts,
} from '../../port/inventory.ts';
import { listPrograms, type BinaryOptions, type QemuProgram } from './programs/binaries.ts';
import { belowBaseline, GuestsBeyond, type SetBaseline } from './programs/baseline.ts';
import { Census } from './guest/census.ts';
import { handleIn, handleOf, launchIn } from './handle.ts';
import { KeptProcessors } from './guest/kept-processors.ts';
import type { KeptPlaces } from './measure/kept-places.ts';
import { monitorProcess, processOf, runsAsOurUser, userOf } from './guest/process.ts';
import { ImageStore } from './images/images.ts';
import { offersOf, readGuestProcessor } from './programs/processors.ts';
import { TPM_SOCKET } from './spec/names.ts';
import { connectMonitor } from './qmp/connect.ts';
import { emptyPipes } from './qmp/pipes.ts';
import { MonitorWatch } from './session.ts';
import type { HostContext } from './host-context.ts';
import { diskWriters } from './images/disk-writers.ts';
import type { TpmOptions } from './tpm/guest-tpm.ts';
import { endSwtpm } from './tpm/start.ts';
import { returnFiles, openAbove } from './user/access.ts';
import { removeCgroup, type QemuCgroup } from './user/cgroup.ts';
import { helperUser, letIn } from './user/guest-user.ts';
import type { QemuUser } from './user/ids.ts';
import { mkdir, open } from 'node:fs/promises';
import { openIdentified } from '../../system/files/identified-file.ts';
import { removeTree } from '../../system/files/remove-tree.ts';
import { askProgram, handedFile, type Question } from './programs/one-shot-qemu.ts';

const GREETING_MS = 3000;
/** Time that swtpm may take to end after its QEMU. */
const TPM_ENDS_MS = 5000;
/** Longest offer of images; each reader also has a shorter deadline. */
const FROZEN_MS = 86_400_000;

export interface QemuDriverOptions {
  readonly host: string;
  readonly binaries: readonly string[];
  readonly user: QemuUser;
  readonly imageDirs: readonly string[];
  readonly passthrough?: HostContext['passthrough'];
  readonly cgroup: QemuCgroup;
  readonly tpm?: TpmOptions | undefined;
  readonly luks?: HostContext['luks'];
  readonly devices?: HostContext['devices'];
  readonly baseline?: string | undefined;
  readonly guestsDir: string;
  /** Results of examining programs and images, kept between processes (0700). */
  readonly cacheDir: string;
  /** Time that a QEMU may take to end after its monitor closed, ms. */
  readonly endsMs?: number;
}

/**
 * QEMU over QMP: Godwit controls each step and the data path. Parts that only one side or the agent needs are
 * imported on use.
 */
export class QemuDriver implements DirectDriver {
  readonly name = 'qemu';
  readonly capabilities = {
    shape: 'direct',
    modes: ['precopy', 'postcopy', 'hybrid', 'cold'],
    compression: ['none', 'zstd', 'xbzrle'],
    compressLevels: true,
    maxStreams: 16,
    transports: ['tcp', 'zero-copy', 'rdma'],
    postcopyRecovery: true,
    rehearsals: true,
    measures: true,
    unplugs: true,
    plugs: true,
    levers: ['downtime', 'throttle', 'postcopy'],
  } as const;
  readonly #options: QemuDriverOptions;
  readonly #images: ImageStore;
  readonly #census = new Census();
  readonly #processors = new KeptProcessors();
  readonly #beyond = new GuestsBeyond();
  #places: KeptPlaces | undefined;

  constructor(options: QemuDriverOptions) {
    this.#options = options;
    this.#images = new ImageStore(path.join(options.cacheDir, 'images'));
  }

  async hypervisors(signal: AbortSignal): Promise<HypervisorInfo[]> {
    const programs = await this.#programs(signal);
    return programs.map((program) => ({
      driver: this.name,
      binary: program.binary,
      version: program.version,
      machineTypes: program.machineTypes.slice(0, 512),
      accelerators: Object.keys(program.features),
    }));
  }

  async processors(signal: AbortSignal): Promise<ProcessorOffer[]> {
    const options = this.#programOptions();
    const programs = await listPrograms(options, signal);
    const all = await Promise.all(programs.map((program) => offersOf(program, options, signal)));
    return all.flat();
  }

  async whyClosed(signal: AbortSignal): Promise<string | undefined> {
    const set = this.#baseline();
    return set === undefined ? undefined : belowBaseline(set, signal);
  }

  async processorOf(handle: GuestHandle, signal: AbortSignal): Promise<GuestProcessor> {
    const guest = handleOf(handle);
    const process = await processOf(guest, this.#options.host);
    const client = await connectMonitor(this.#monitorOf(handle), GREETING_MS, signal);
    try {
      return await readGuestProcessor(client, process, guest.name, signal);
    } finally {
      client.close();
    }
  }

  async layout(handle: GuestHandle, signal: AbortSignal): Promise<GuestLayout> {
    const { readLayout } = await import('./guest/layout.ts');
    return readLayout(this.#monitorOf(handle), handleOf(handle), signal);
  }

  census(signal: AbortSignal): Promise<string> {
    return this.#census.take(signal);
  }

  async discover(options: DiscoverOptions, signal: AbortSignal): Promise<DiscoveredGuest[]> {
    const { discoverGuests } = await import('./guest/discover.ts');
    const set = this.#baseline();
    const known = { processors: this.#processors, ...(set && { beyond: this.#beyond.of(set) }) };
    return discoverGuests(options, signal, known);
  }

  life(handle: GuestHandle): Promise<Life> {
    const process = handleIn(handle);
    if (process !== undefined) return Promise.resolve(lifeOf(process));
    const reason = `the handle of ${handle.name} names no QEMU`;
    return Promise.resolve({ state: 'unknown', reason });
  }

  describe(handle: GuestHandle): HandleFacts {
    const { pid, monitor } = handleOf(handle);
    return { what: `process ${pid}`, directory: path.dirname(monitor), pid };
  }

  isSame(left: GuestHandle, right: GuestHandle): boolean {
    const [one, other] = [handleIn(left), handleIn(right)];
    if (one === undefined || one.pid !== other?.pid) return false;
    const isOneBoot = one.bootId === undefined || (other.bootId ?? one.bootId) === one.bootId;
    return isOneBoot && one.startTicks === other.startTicks;
  }

  mayReachUs(handle: GuestHandle): boolean {
    return runsAsOurUser(handleOf(handle).pid);
  }

  async openSource(handle: GuestHandle, signal: AbortSignal): Promise<SourceSession> {
    const guest = handleOf(handle);
    const { host } = this.#options;
    const [{ QemuSource }, { candidatesOf }] = await Promise.all([
      import('./source.ts'),
      import('./guest/discover.ts'),
    ]);
    const process = await processOf(guest, host);
    const client = await connectMonitor(this.#monitorOf(handle), GREETING_MS, signal);
    try {
      const watch = new MonitorWatch(client, 'source');
      await watch.begin(signal);
      const sockets = candidatesOf([process], [])[0]?.sockets ?? [];
      const parts = { host, watch, images: this.#images, sockets, baseline: this.#baseline() };
      return new QemuSource(guest, client, parts);
    } catch (error) {
      client.close();
      throw error;
    }
  }

  async sampleDirty(handle: GuestHandle, signal: AbortSignal): Promise<CurvePoint | undefined> {
    const { KeptPlaces } = await import('./measure/kept-places.ts');
    this.#places ??= new KeptPlaces();
    const connect = () => connectMonitor(this.#monitorOf(handle), GREETING_MS, signal);
    return this.#places.sample(handleOf(handle), connect, signal);
  }

  readonly diskWriters = diskWriters;

  async openDestination(options: DestinationOptions): Promise<DestinationSession> {
    const known = options.handle === undefined ? undefined : handleOf(options.handle);
    const { QemuDestination } = await import('./destination.ts');
    const session = new QemuDestination(options, known, {
      programs: (signal) => this.#programs(signal),
      images: this.#images,
      endsMs: this.#options.endsMs,
      user: this.#options.user,
      imageDirs: this.#options.imageDirs,
      passthrough: this.#options.passthrough,
      cgroup: this.#options.cgroup,
      tpm: this.#options.tpm,
      luks: this.#options.luks,
      devices: this.#options.devices,
      baseline: this.#baseline(),
    });
    if (known !== undefined) {
      await session.reattach(AbortSignal.timeout(GREETING_MS)).catch(() => false);
    }
    return session;
  }

  async openFrozen<T>(
    images: readonly FrozenImage[],
    directory: string,
    signal: AbortSignal,
    work: (socket: string, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { host, user, guestsDir } = this.#options;
    const [program] = await this.#programs(signal);
    if (program === undefined) throw godwitError('GODWIT_HOST_LACKS', { what: 'a QEMU' });
    const { binary: file, sandbox } = program;
    const as = await helperUser(user, guestsDir);
    const offered = { images, directory, forMs: FROZEN_MS };
    return offerFrozen({ file, host, as, sandbox }, offered, signal, work);
  }

  tend(guestsDir: string): Promise<void> {
    return emptyPipes(guestsDir);
  }

  async takeBack(guestDir: string): Promise<void> {
    await endSwtpm(path.join(guestDir, TPM_SOCKET), AbortSignal.timeout(TPM_ENDS_MS)).catch(
      () => undefined,
    );
    await returnFiles(guestDir);
    await removeCgroup(guestDir);
  }

  async guestDirectory(guestDir: string): Promise<GuestDirectory> {
    const { guestDirectory } = await import('./process/guest-directory.ts');
    return guestDirectory(guestDir);
  }

  async relaunch(
    handle: GuestHandle,
    launch: Launch,
    permission: StartPermission,
    signal: AbortSignal,
  ): Promise<GuestHandle> {
    permission.mustCover(handle.name);
    const { host } = this.#options;
    const { relaunch } = await import('./process/relaunch.ts');
    return relaunch(host, handleOf(handle), launchIn(launch, handle.name, host), signal);
  }

  #monitorOf(handle: GuestHandle) {
    const guest = handleOf(handle);
    const { host, endsMs } = this.#options;
    return {
      host,
      guest: guest.name,
      side: 'source' as const,
      path: guest.monitor,
      user: userOf(guest.pid),
      process: monitorProcess(guest),
      ...defined({ endsMs }),
    };
  }

  #baseline(): SetBaseline | undefined {
    const { baseline: argument } = this.#options;
    if (argument === undefined) return undefined;
    return { argument, offers: (signal) => this.processors(signal) };
  }

  #programs(signal: AbortSignal): Promise<QemuProgram[]> {
    return listPrograms(this.#programOptions(), signal);
  }

  #programOptions(): BinaryOptions {
    const { host, binaries, user, cacheDir } = this.#options;
    return { host, binaries, user, cacheDir: path.join(cacheDir, 'qemu') };
  }
}

const LEVELS_ABOVE = 3;
const SOCKET = 's';

interface ImageOffer {
  readonly images: readonly FrozenImage[];
  readonly directory: string;
  readonly forMs: number;
}

/**
 * Offers images for reading through a separate QEMU without a guest. It takes no locks and ends with `work`. It
 * can read only these files, which are opened for it; a backing file named in an image is not followed.
 */
export async function offerFrozen<T>(
  program: Pick<Question, 'file' | 'host' | 'as' | 'sandbox'>,
  { images, directory, forMs }: ImageOffer,
  signal: AbortSignal,
  work: (socket: string, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const socket = path.join(directory, SOCKET);
  const chains = images.map((image) => [image, ...image.below]);
  const opened: Awaited<ReturnType<typeof open>>[] = [];
  try {
    await removeTree(directory);
    await mkdir(directory, { mode: 0o700 });
    if (program.as !== undefined) {
      await letIn(directory, program.as.gid);
      await openAbove(path.dirname(directory), LEVELS_ABOVE);
    }
    for (const { file, identity } of chains.flat())
      opened.push(
        await (identity === undefined ? open(file, 'r') : openIdentified(file, identity)),
      );
    const files = opened.map(({ fd }) => fd);
    const kinds = await Promise.all(opened.map((handle) => handle.stat()));
    const drivers = kinds.map((kind) => (kind.isBlockDevice() ? 'host_device' : 'file'));
    const question = { ...program, files, deadlineMs: forMs, incoming: false } as const;
    return await askProgram({ ...question, accelerator: 'tcg' }, signal, async (client, inner) => {
      const addr = { type: 'unix', data: { path: socket } };
      await client.execute('nbd-server-start', { addr }, inner);
      let first = 0;
      for (const [index, chain] of chains.entries()) {
        const node = images[index]?.node ?? '';
        await client.execute(
          'blockdev-add',
          { ...layered(chain, first, drivers), 'node-name': node },
          inner,
        );
        const offer = { type: 'nbd', id: node, 'node-name': node, name: node, writable: false };
        await client.execute('block-export-add', offer, inner);
        first += chain.length;
      }
      return work(socket, inner);
    });
  } finally {
    await Promise.all(opened.map((handle) => handle.close()));
    await removeTree(directory);
  }
}

function layered(
  chain: readonly Pick<FrozenImage, 'format'>[],
  first: number,
  drivers: readonly string[],
): object {
  const [top, ...below] = chain;
  if (top === undefined) return {};
  const shared = { 'read-only': true, 'force-share': true };
  const file = { driver: drivers[first], filename: handedFile(first), ...shared };
  const image = { driver: top.format, file, ...shared };
  if (top.format === 'raw') return image;
  return { ...image, backing: below.length === 0 ? null : layered(below, first + 1, drivers) };
}
