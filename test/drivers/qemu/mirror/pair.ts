import assert from 'node:assert/strict';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type {
  DestinationSession,
  SourceSession,
  StreamSetup,
} from '../../../../src/port/direct.ts';
import type { Inspection } from '../../../../src/port/inspection.ts';
import type { GuestHandle } from '../../../../src/port/inventory.ts';
import type { DiskSource, DiskTarget } from '../../../../src/port/disks.ts';
import { formatImages, makeEmptyFile } from '../../../../src/drivers/qemu/images/make-image.ts';
import type { QmpClient } from '../../../../src/drivers/qemu/qmp/client.ts';
import { connectMonitor } from '../../../../src/drivers/qemu/qmp/connect.ts';
import { makeQemuPlace, type QemuPlace } from '../../../conformance/qemu-place.ts';
import { Joint } from './joint.ts';
import { untilSo } from '../../../until.ts';

export const MIB = 1024 ** 2;

export interface DiskPlan {
  readonly format: 'raw' | 'qcow2';
  readonly bytes: number;
  readonly unmap?: boolean;
  /** Given as a drive, without names for its nodes. */
  readonly drive?: boolean;
  /** On a raw image below it, which both QEMUs have; its first MiB holds 0xba. */
  readonly base?: boolean;
  /** Limited, and copied on read. */
  readonly filtered?: boolean;
  /** What blockdev-create is given besides. */
  readonly features?: object;
}

export interface Pair {
  readonly place: QemuPlace;
  readonly signal: AbortSignal;
  readonly session: SourceSession;
  readonly source: DiskSource;
  readonly target: DiskTarget;
  readonly destination: DestinationSession;
  readonly found: Inspection;
  readonly joint: Joint;
  /** The socket of the destination's exports. */
  readonly served: string;
  /** Where the destination waits for memory. */
  readonly memoryAddress: string;
  readonly handle: GuestHandle;
  readonly setup: StreamSetup;
  /** Block nodes of the disks, by number. */
  readonly nodes: readonly string[];
  /** A monitor of each that only the test uses. */
  readonly beside: { readonly source: QmpClient; readonly destination: QmpClient };
  /** Image files, by disk. */
  readonly files: { readonly source: readonly string[]; readonly destination: readonly string[] };
  /** As the guest would, on its `disk`th disk: a command of qemu-io. */
  io(disk: number, command: string): Promise<string>;
  ready(by?: DiskSource): Promise<void>;
  /** Resolves when `so` says yes; rejects once the pair's time is up. */
  until(so: () => Promise<boolean> | boolean): Promise<void>;
  dispose(): Promise<void>;
}

/** An empty image, made as the driver makes them. */
async function makeImage(program: string, file: string, plan: DiskPlan): Promise<void> {
  const { format, bytes, features, base } = plan;
  await makeEmptyFile(file, format === 'raw' ? bytes : 0);
  if (format === 'raw') return;
  if (base === true) await makeBase(baseOf(file), bytes);
  const below = base === true ? { 'backing-file': baseOf(file), 'backing-fmt': 'raw' } : {};
  const plain = { driver: 'qcow2', size: bytes };
  const creation = (node: string) => ({ ...plain, file: node, ...below, ...features });
  const blanks = [{ file, creation }];
  await formatImages({ file: program, host: 'a' }, blanks, AbortSignal.timeout(20_000));
}

const baseOf = (file: string): string => `${file}.base`;

async function makeBase(file: string, bytes: number): Promise<void> {
  await makeEmptyFile(file, bytes);
  const handle = await open(file, 'r+');
  await handle.write(Buffer.alloc(MIB, 0xba), 0, MIB, 0);
  await handle.close();
}

/** Two QEMUs, the second made from what the first says of itself, with empty images and exports joined to the first. */
export async function makePair(
  program: string,
  plans: readonly DiskPlan[],
  options: { readonly there?: string; readonly mode?: 'precopy' | 'postcopy' } = {},
): Promise<Pair> {
  const top = await mkdtemp(path.join(tmpdir(), 'godwit-mirror-'));
  const { signal, abort } = deadline();
  const there = options.there ?? path.join(top, 'there');
  await mkdir(there, { recursive: true });
  const name = (index: number): string => `disk${index}.img`;
  const from = plans.map((_, index) => path.join(top, name(index)));
  const to = plans.map((_, index) => path.join(there, name(index)));
  for (const [index, plan] of plans.entries()) {
    await makeImage(program, from[index] ?? '', plan);
  }
  const side = path.join(top, 'side.sock');
  const extra = ['-qmp', `unix:${side},server=on,wait=off`];
  for (const [index, plan] of plans.entries())
    extra.push(...diskWords(plan, index, from[index] ?? ''));
  const memory = { keptMib: 2, dirtyMib: 1 };
  const place = await makeQemuPlace({
    source: program,
    destination: program,
    machine: 'q35',
    extra,
    ...memory,
  });
  const undo: (() => Promise<void> | void)[] = [() => place.dispose()];
  const dispose = async (): Promise<void> => {
    for (const each of undo.toReversed()) await each();
    abort();
    await rm(top, { recursive: true, force: true });
  };
  try {
    const session = await openSource(place, signal);
    undo.push(() => session.close());
    const stream = { mode: options.mode ?? 'precopy', streams: 1, compress: 'none' } as const;
    const found = await session.inspect(stream, signal);
    const refused = found.checks.filter(({ verdict }) => verdict === 'refuse');
    assert.deepEqual(refused, []);
    const { description } = found;
    const disks = (description.disks ?? []).toSorted((a, b) => a.name.localeCompare(b.name));
    const nodes = disks.map(({ images }) => images[0]?.node ?? '');
    const destination = await place.destination.openDestination(place.destinationOptions);
    undo.push(() => destination.destroy(AbortSignal.timeout(10_000)));
    const { disks: source } = session;
    const { disks: target } = destination;
    assert.ok(source !== undefined && target !== undefined);
    const shared = new Map(Object.entries(found.files ?? {}));
    const images = disks.map(({ images: [image, below] }, index) => {
      const backingFile = below === undefined ? undefined : shared.get(below.node);
      const blank = { node: image?.node ?? '', file: to[index] ?? '' };
      return { ...blank, ...(backingFile === undefined ? {} : { backingFile }) };
    });
    await target.create(description, images, signal);
    const setup = { ...stream, tls: false, maxDowntimeMs: 200, disks: true, holdSwitchover: true };
    const files = new Map([...shared, ...images.map(({ node, file }) => [node, file] as const)]);
    const { memoryAddress, handle } = await destination.start(
      description,
      setup,
      new Map(),
      signal,
      files,
    );
    const served = path.join(place.destinationOptions.guestDir, 'disks.sock');
    await target.serve(nodes, served, signal);
    const joint = new Joint(path.join(top, 'joint.sock'), served);
    await joint.open();
    undo.push(() => joint.cut());
    const connect = (socket: string, end: 'source' | 'destination') =>
      connectMonitor(
        { host: 'a', guest: place.guest, side: end, path: socket, user: 'anybody' },
        5000,
        signal,
      );
    const beside = {
      source: await connect(side, 'source'),
      destination: await connect(
        path.join(place.destinationOptions.guestDir, 'side.sock'),
        'destination',
      ),
    };
    undo.push(
      () => beside.source.close(),
      () => beside.destination.close(),
    );
    const io = async (disk: number, command: string): Promise<string> => {
      const line = `qemu-io -d /machine/peripheral/disk${disk}/virtio-backend "${command}"`;
      const reported = await beside.source.execute(
        'human-monitor-command',
        { 'command-line': line },
        signal,
      );
      return String(reported);
    };
    const inTime: Pair['until'] = (so) =>
      untilSo(async () => {
        signal.throwIfAborted();
        return so();
      });
    const ready = (by: DiskSource = source) =>
      inTime(async () => {
        const samples = await by.sample(nodes, signal);
        const over = samples.find(({ state }) => state === 'failed' || state === 'broken');
        if (over !== undefined) throw new Error(JSON.stringify(over));
        return samples.every(({ state }) => state === 'ready');
      });
    return {
      place,
      signal,
      session,
      source,
      target,
      destination,
      found,
      joint,
      served,
      memoryAddress,
      handle,
      setup,
      nodes,
      beside,
      files: { source: from, destination: to },
      io,
      ready,
      until: inTime,
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

export async function withPair<T>(
  program: string,
  plans: readonly DiskPlan[],
  work: (pair: Pair) => Promise<T>,
  options: Parameters<typeof makePair>[2] = {},
): Promise<T> {
  const pair = await makePair(program, plans, options);
  try {
    return await work(pair);
  } finally {
    await pair.dispose();
  }
}

function deadline(): { signal: AbortSignal; abort: () => void } {
  const own = new AbortController();
  return {
    signal: AbortSignal.any([own.signal, AbortSignal.timeout(60_000)]),
    abort: () => own.abort(),
  };
}

function diskWords(plan: DiskPlan, index: number, file: string): string[] {
  const { format, unmap, drive, base } = plan;
  const discard = unmap === true ? 'unmap' : 'ignore';
  const device = `virtio-blk-pci,id=disk${index}`;
  if (drive === true) {
    const filtered =
      plan.filtered === true ? ',copy-on-read=on,throttling.bps-total=4000000000' : '';
    const image = `file=${file},format=${format},discard=${discard}`;
    const given = `if=none,id=drive${index},${image}${filtered}`;
    return ['-drive', given, '-device', `${device},drive=drive${index}`];
  }
  const readOnly = { driver: 'raw', 'node-name': `base${index}`, 'read-only': true };
  const below = { driver: 'file', filename: baseOf(file), 'read-only': true };
  const node = {
    driver: format,
    'node-name': `node${index}`,
    file: `file${index}`,
    discard,
    ...(base === true ? { backing: { ...readOnly, file: below } } : {}),
  };
  const opened = { driver: 'file', 'node-name': `file${index}`, filename: file, discard };
  const words = [opened, node].flatMap((each) => ['-blockdev', JSON.stringify(each)]);
  return [...words, '-device', `${device},drive=node${index}`];
}

export async function openSource(place: QemuPlace, signal: AbortSignal): Promise<SourceSession> {
  const found = await place.source.discover({ host: 'a', busy: new Set(), configured: [] }, signal);
  const handle = found.find(({ info }) => info.name === place.guest)?.handle;
  assert.ok(handle);
  return place.source.openSource(handle, signal);
}
