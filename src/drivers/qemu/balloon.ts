import { z } from 'zod';
import { systemClock } from '../../clock.ts';
import { godwitError } from '../../errors.ts';
import type { BalloonLook } from '../../migration/preflight/balloon.ts';
import type { Balloon } from '../../port/balloon.ts';
import type { QmpClient } from './qmp/client.ts';

/** POLL_S is the interval of the statistics, s; STATISTICS_MS is the longest wait for them. */
const POLL_S = 1;
const STATISTICS_MS = 4000;
const AGAIN_MS = 100;
const INTERVAL = 'guest-stats-polling-interval';
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
    // Simultaneous looks share one query, because each sets and restores the device's interval.
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

/** Present and possible size, without the guest's driver. Undefined if the guest has no balloon. */
export async function balloonNow(
  client: QmpClient,
  signal: AbortSignal,
): Promise<Pick<BalloonLook, 'actualBytes' | 'wholeBytes'> | undefined> {
  const answer = await client.request('query-balloon', {}, signal);
  const now = answered.safeParse(answer.ok ? answer.value : undefined);
  if (!now.success) return undefined;
  return { actualBytes: now.data.actual, wholeBytes: await wholeOf(client, signal) };
}

/** QEMU limits the balloon to the memory at start plus plain-memory DIMMs. */
async function wholeOf(client: QmpClient, signal: AbortSignal): Promise<number> {
  const [{ 'base-memory': base }, devices] = await Promise.all([
    client.query('query-memory-size-summary', {}, sizes, signal),
    client.query('query-memory-devices', {}, memoryDevices, signal),
  ]);
  const dimms = devices.filter(({ type }) => type === 'dimm');
  return dimms.reduce((sum, { data: { size = 0 } }) => sum + size, base);
}

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

/** Waits for fresh statistics from the guest's driver, then restores the device's settings. */
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
      if (now['last-update'] > before['last-update']) return memoryIn(now.stats);
      if (systemClock.monotonicMs() > until)
        throw cannot('the balloon driver of the guest gives no statistics');
      await systemClock.sleep(AGAIN_MS, signal);
    }
  } finally {
    // The settings are restored even if the migration was cancelled.
    const own = AbortSignal.timeout(STATISTICS_MS);
    await client.execute('qom-set', { ...at(INTERVAL), value: found }, own).catch(() => undefined);
  }
}

/** A driver reports 2^64 - 1, or nothing, for a value that it does not count. Pure. */
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
