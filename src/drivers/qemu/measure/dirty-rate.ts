import { z } from 'zod';
import type { Clock } from '../../../clock.ts';
import type { CurvePoint } from '../../../protocol/public/prediction.ts';
import type { QmpClient } from '../qmp/client.ts';

/** QEMU's own look at what a guest writes: hashes of a sample of its pages, taken twice. Whole seconds before 8.2. */
const WINDOWS_S = [1, 3] as const;
const LOOK_AGAIN_MS = 50;
/** Beyond its window, ms. */
const LATE_MS = 2000;
const MIB = 1024 ** 2;

const answer = z.object({
  status: z.enum(['unstarted', 'measuring', 'measured']),
  /** MiB/s. */
  'dirty-rate': z.number().optional(),
  'calc-time': z.number().nonnegative(),
});

/** Undefined where this QEMU cannot, or measures for somebody else. */
export async function calcDirtyRate(
  client: Pick<QmpClient, 'query' | 'request'>,
  memoryBytes: number,
  clock: Pick<Clock, 'monotonicMs' | 'sleep'>,
  signal: AbortSignal,
): Promise<CurvePoint[] | undefined> {
  const curve: CurvePoint[] = [];
  for (const seconds of WINDOWS_S) {
    const begun = await client.request('calc-dirty-rate', { 'calc-time': seconds }, signal);
    if (!begun.ok) return undefined;
    const rate = await measured(client, seconds * 1000, clock, signal);
    if (rate === undefined) return undefined;
    const dirtyBytes = Math.min(memoryBytes, Math.round(rate * seconds * MIB));
    curve.push({ windowMs: seconds * 1000, dirtyBytes });
  }
  return curve;
}

async function measured(
  client: Pick<QmpClient, 'query'>,
  windowMs: number,
  clock: Pick<Clock, 'monotonicMs' | 'sleep'>,
  signal: AbortSignal,
): Promise<number | undefined> {
  const until = clock.monotonicMs() + windowMs + LATE_MS;
  await clock.sleep(windowMs, signal);
  while (clock.monotonicMs() < until) {
    const found = await client.query('query-dirty-rate', {}, answer, signal);
    if (found.status === 'measured') return Math.max(0, found['dirty-rate'] ?? 0);
    await clock.sleep(LOOK_AGAIN_MS, signal);
  }
  return undefined;
}
