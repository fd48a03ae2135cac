import { z } from 'zod';
import { systemClock } from '../../clock.ts';
import { godwitError } from '../../errors.ts';
import type { BalloonLook } from '../../migration/preflight/balloon.ts';
import type { Balloon } from '../../port/balloon.ts';
import type { QmpClient } from './qmp/client.ts';

/** Statistics come this often while they are waited for, s, and are waited for so long, ms. */
const POLL_S = 1;
const STATISTICS_MS = 4000;
const AGAIN_MS = 100;
const INTERVAL = 'guest-stats-polling-interval';
/** Where QEMU has devices with and without an id. */
const CONTAINERS = ['/machine/peripheral', '/machine/peripheral-anon'];

const children = z
  .array(z.object({ name: z.string().max(1024), type: z.string().max(1024) }))
  .max(65_536);
const sizes = z.object({ 'base-memory': z.number().nonnegative() });
const memoryDevices = z
  .array(z.object({ type: z.string(), data: z.object({ size: z.number().optional() }) }))
  .max(65_536);
const answered = z.object({ actual: z.number().nonnegative() });
const statistics = z.object({
  'last-update': z.number(),
  stats: z.record(z.string().max(128), z.number()),
});

/** The balloon of a guest: the first virtio-balloon that it has. `client`: the monitor, as it is to be asked now. */
export function balloonOf(client: (signal: AbortSignal) => Promise<QmpClient>): Balloon {
  const actual = async (signal: AbortSignal): Promise<number> =>
    (await (await client(signal)).query('query-balloon', {}, answered, signal)).actual;
  const lookNow = async (signal: AbortSignal): Promise<BalloonLook> => {
    const monitor = await client(signal);
    const device = await balloonDevice(monitor, signal);
    if (device === undefined) throw cannot('the guest has no virtio-balloon device');
    const known = await statisticsOf(monitor, device, signal);
    const [actualBytes, wholeBytes] = [await actual(signal), await wholeOf(monitor, signal)];
    return { actualBytes, wholeBytes, ...known };
  };
  let looking: Promise<BalloonLook> | undefined;
  return {
    actual,
    // Those who look at once share one look: each sets the interval of the device, and sets it back.
    look: (signal) => {
      looking ??= lookNow(signal).finally(() => {
        looking = undefined;
      });
      return looking;
    },
    resize: async (bytes, signal) => {
      await (await client(signal)).execute('balloon', { value: bytes }, signal);
    },
  };
}

/** What the guest has now and could have, without a word from its driver; undefined where it has no balloon. */
export async function balloonNow(
  client: QmpClient,
  signal: AbortSignal,
): Promise<Pick<BalloonLook, 'actualBytes' | 'wholeBytes'> | undefined> {
  const answer = await client.request('query-balloon', {}, signal);
  const now = answered.safeParse(answer.ok ? answer.value : undefined);
  if (!now.success) return undefined;
  return { actualBytes: now.data.actual, wholeBytes: await wholeOf(client, signal) };
}

/** QEMU takes its balloon from what the machine was started with, and from DIMMs that are plain memory. */
async function wholeOf(client: QmpClient, signal: AbortSignal): Promise<number> {
  const [{ 'base-memory': base }, devices] = await Promise.all([
    client.query('query-memory-size-summary', {}, sizes, signal),
    client.query('query-memory-devices', {}, memoryDevices, signal),
  ]);
  const dimms = devices.filter(({ type }) => type === 'dimm');
  return dimms.reduce((sum, { data: { size = 0 } }) => sum + size, base);
}

/** Where QEMU has the guest’s balloon: the first virtio-balloon. */
export async function balloonDevice(
  client: Pick<QmpClient, 'request'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const container of CONTAINERS) {
    const answer = await client.request('qom-list', { path: container }, signal);
    const listed = children.safeParse(answer.ok ? answer.value : []);
    const found = listed.data?.find(({ type }) => type.startsWith('child<virtio-balloon'));
    if (found !== undefined) return `${container}/${found.name}`;
  }
  return undefined;
}

/** Has the driver in the guest count, waits for that, and leaves the device as it was found. */
async function statisticsOf(
  client: QmpClient,
  device: string,
  signal: AbortSignal,
): Promise<Pick<BalloonLook, 'freeBytes' | 'availableBytes'>> {
  const at = (property: string) => ({ path: device, property });
  const read = () => client.query('qom-get', at('guest-stats'), statistics, signal);
  const found = await client.query('qom-get', at(INTERVAL), z.number(), signal);
  const before = await read();
  await client.execute('qom-set', { ...at(INTERVAL), value: POLL_S }, signal);
  try {
    const until = systemClock.monotonicMs() + STATISTICS_MS;
    for (;;) {
      const now = await read();
      // Counted while we waited: what was counted before may be old.
      if (now['last-update'] > before['last-update']) return memoryIn(now.stats);
      if (systemClock.monotonicMs() > until)
        throw cannot('the balloon driver of the guest gives no statistics');
      await systemClock.sleep(AGAIN_MS, signal);
    }
  } finally {
    // Also where the migration was cancelled meanwhile.
    const own = AbortSignal.timeout(STATISTICS_MS);
    await client.execute('qom-set', { ...at(INTERVAL), value: found }, own).catch(() => undefined);
  }
}

/** A driver that does not count something reports 2^64 - 1, or nothing. Pure. */
export function memoryIn(
  stats: Readonly<Record<string, number>>,
): Pick<BalloonLook, 'freeBytes' | 'availableBytes'> {
  const [freeBytes, availableBytes] = ['stat-free-memory', 'stat-available-memory'].map((name) => {
    const value = stats[name];
    return Number.isSafeInteger(value) && value !== undefined && value >= 0 ? value : undefined;
  });
  if (freeBytes === undefined || availableBytes === undefined)
    throw cannot(
      'the balloon driver of the guest does not say how much memory is free and available',
    );
  return { freeBytes, availableBytes };
}

function cannot(reason: string) {
  const hint = 'Leave --balloon out, or load virtio_balloon in the guest.';
  return godwitError('GODWIT_CAPABILITY', { what: '--balloon', reason }, { hint });
}
