import { z } from 'zod';
import type { Clock } from '../../../clock.ts';
import type { CurvePoint } from '../../../protocol/public/prediction.ts';
import { dirtyCurve } from '../../dirty-windows.ts';
import type { QmpClient } from '../qmp/client.ts';

/** QEMU's dirty-rate measurement: hashes of sampled pages, taken twice. */
const answer = z.object({
  status: z.enum(['unstarted', 'measuring', 'measured']),
  'dirty-rate': z.number().optional(),
  'calc-time': z.number().nonnegative(),
});

export function calcDirtyRate(
  client: Pick<QmpClient, 'query' | 'request'>,
  memoryBytes: number,
  clock: Pick<Clock, 'monotonicMs' | 'sleep'>,
  signal: AbortSignal,
): Promise<CurvePoint[] | undefined> {
  const look = {
    begin: async (seconds: number, inner: AbortSignal) =>
      (await client.request('calc-dirty-rate', { 'calc-time': seconds }, inner)).ok,
    rate: async (_: number, inner: AbortSignal) => {
      const found = await client.query('query-dirty-rate', {}, answer, inner);
      return found.status === 'measured' ? (found['dirty-rate'] ?? 0) : undefined;
    },
  };
  return dirtyCurve(look, memoryBytes, clock, signal);
}
