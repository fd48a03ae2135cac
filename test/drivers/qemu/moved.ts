import { handleOf } from '../../../src/drivers/qemu/handle.ts';
import assert from 'node:assert/strict';
import type { DestinationSession, SourceSession, StreamSetup } from '../../../src/port/direct.ts';
import { connectMonitor } from '../../../src/drivers/qemu/qmp/connect.ts';
import type { GuestHandle } from '../../../src/port/inventory.ts';
import type { GuestDescription } from '../../../src/protocol/peer/migration.ts';
import type { QemuPlace } from '../../conformance/qemu-place.ts';
import { untilSo } from '../../until.ts';
import { granted } from '../../migration/permission/granted.ts';

const STREAM = { mode: 'precopy', streams: 1, compress: 'none' } as const;
const signal = AbortSignal.timeout(120_000);

export interface MoveResult {
  readonly before: GuestDescription;
  readonly after: GuestDescription;
  /** What the guest wrote there: a dot for each time it found its memory whole. */
  readonly serial: string;
}

interface Both {
  readonly handle: GuestHandle;
  readonly source: SourceSession;
  readonly destination: DestinationSession;
}

/** With both ends of the guest of a place open; what is at the destination afterwards is destroyed. */
export async function withBoth<T>(place: QemuPlace, work: (both: Both) => Promise<T>): Promise<T> {
  const found = await place.source.discover({ host: 'a', busy: new Set(), configured: [] }, signal);
  const handle = found.find(({ info }) => info.name === place.guest)?.handle;
  assert.ok(handle);
  const source = await place.source.openSource(handle, signal);
  const destination = await place.destination.openDestination(place.destinationOptions);
  try {
    return await work({ handle, source, destination });
  } finally {
    await source.close();
    await destination.destroy(AbortSignal.timeout(10_000));
  }
}

/** Moves a tiny guest from one QEMU to another, as the movers would, and describes it on both sides. */
export async function move(place: QemuPlace): Promise<MoveResult> {
  return withBoth(place, ({ source, destination }) => moveWith(place, source, destination));
}

/** Everything is handed over, but for pages in post-copy; the right to run is not, and comes back. `handedOver` looks at both before that. */
export async function takeBack(
  place: QemuPlace,
  handedOver: (source: number, destination: number) => Promise<void>,
  mode: 'precopy' | 'postcopy' = 'precopy',
): Promise<number> {
  return withBoth(place, async ({ handle, source, destination }) => {
    const there = await handOver(place, source, destination, mode);
    await handedOver(handleOf(handle).pid, handleOf(there.handle).pid);
    await destination.destroy(signal);
    await source.cancel(signal);
    await source.resumeGuest(granted(source.handle.name), signal);
    assert.equal((await source.status(signal)).run, 'running');
    return handleOf(handle).pid;
  });
}

async function moveWith(place: QemuPlace, source: SourceSession, destination: DestinationSession) {
  const { before, handle } = await handOver(place, source, destination);
  await destination.resumeGuest(granted(source.handle.name), signal);
  await source.quit(signal);
  await destination.settle(signal);
  await untilSo(async () => (await place.serialThere()).length > 3);
  await destination.close();
  const moved = await place.destination.openSource(handle, signal);
  try {
    const again = await moved.inspect(STREAM, signal);
    return { before, after: again.description, serial: await place.serialThere() };
  } finally {
    await moved.close();
  }
}

/** Until the source has completed; the destination waits for the right to run. */
async function handOver(
  place: QemuPlace,
  source: SourceSession,
  destination: DestinationSession,
  mode: 'precopy' | 'postcopy' = 'precopy',
) {
  const { description, checks, files = {} } = await source.inspect(STREAM, signal);
  const refused = checks.filter(({ verdict }) => verdict === 'refuse');
  assert.deepEqual(refused, []);
  const before = JSON.parse(JSON.stringify(description)) as GuestDescription;
  const setup = (side: 'source' | 'destination'): StreamSetup => ({
    ...STREAM,
    mode,
    tls: true,
    maxDowntimeMs: 200,
    ...(description.disks === undefined ? {} : { disks: true, holdSwitchover: true }),
    ...(place.credentials === undefined ? {} : { credentials: place.credentials[side] }),
  });
  const ports = new Map<string, string>();
  const { memoryAddress, handle } = await destination.start(
    before,
    setup('destination'),
    ports,
    signal,
    new Map(Object.entries(files)),
  );
  await source.configure(setup('source'), signal);
  const done = Promise.withResolvers<void>();
  source.onEvent((event) => {
    if (event.type === 'pre-switchover') void source.continueSwitchover(signal);
    if (event.type === 'active' && mode === 'postcopy') void source.startPostcopy(signal);
    if (event.type === (mode === 'postcopy' ? 'postcopy-active' : 'completed')) done.resolve();
    if (event.type === 'failed' || event.type === 'lost') done.reject(new Error(event.reason));
  });
  await source.startMemory(memoryAddress, 'b', signal);
  await done.promise;
  return { before, handle };
}

/** Changes the guest while it runs, over its own monitor. */
export async function plug(place: QemuPlace, commands: readonly [string, object][]): Promise<void> {
  const side = 'source' as const;
  const owner = { host: 'a', guest: place.guest, side, user: 'anybody' as const };
  const client = await connectMonitor({ ...owner, path: place.tiny.monitor }, 5000, signal);
  try {
    for (const [command, args] of commands) await client.execute(command, args, signal);
  } finally {
    client.close();
  }
}
