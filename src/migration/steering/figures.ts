import { defined } from '../../protocol/defined.ts';
import type { SteeringInputs } from '../../protocol/public/steering.ts';
import { formatRate } from '../../protocol/quantity.ts';
import type { MemorySample } from '../../protocol/public/migration.ts';
import type { SteeringView } from './decision.ts';
import { outpacingRate } from './write-rate.ts';

/** Figures of a decision, and their words. Pure. */

export function inputsOf(view: SteeringView): SteeringInputs {
  const { sample, trace, leftMs, recentRate } = view;
  const { round, remainingBytes, dirtyRate } = sample;
  const rate = Math.round(steadyRate(sample, recentRate));
  const writeRate = outpacingRate(view);
  return {
    round,
    remainingBytes,
    rate,
    dirtyRate,
    ...defined({ writeRate }),
    expectedDowntimeMs: Math.round(Math.max(sample.expectedDowntimeMs ?? 0, reckonedMs(view))),
    stalledRounds: trace?.stalledRounds ?? 0,
    leftMs: Math.max(0, Math.round(leftMs)),
  };
}

/**
 * Time to send the remainder at the round's start, ms. The hypervisor's estimate is then from the previous round, or
 * still the requested downtime.
 */
export function reckonedMs({ sample, trace, recentRate }: SteeringView): number {
  const { round, remainingBytes } = sample;
  const atStart = trace?.round === round ? trace.remainingBytes : remainingBytes;
  return (atStart * 1000) / Math.max(1, steadyRate(sample, recentRate));
}

/**
 * Link rate, bytes/s: the hypervisor's figure or the recent mean, whichever is higher, since one look may fall into a
 * short stall. Without a recent mean, the mean of the whole stream.
 */
export function steadyRate(sample: MemorySample, recentRate?: number): number {
  return Math.max(sample.rate, recentRate ?? meanRate(sample));
}

export function meanRate({
  transferredBytes,
  totalMs,
}: Pick<MemorySample, 'transferredBytes' | 'totalMs'>): number {
  return totalMs === 0 ? 0 : (transferredBytes * 1000) / totalMs;
}

/** Link rate for decisions that must not be late: the recent mean, even if a look saw more. */
export const cautiousRate = ({ sample, recentRate = sample.rate }: SteeringView): number =>
  Math.max(1, recentRate);

export function wordsOf({
  round,
  rate,
  dirtyRate,
  writeRate,
  stalledRounds,
}: SteeringInputs): string {
  const writes =
    writeRate === undefined ? '' : ` (it writes ${formatRate(writeRate)} in a short time)`;
  const rates = `the guest dirties ${formatRate(dirtyRate)}${writes}, the link takes ${formatRate(rate)}`;
  const stalled = stalledRounds === 1 ? '1 round' : `${stalledRounds} rounds`;
  const words = stalledRounds === 0 ? '' : `; what remains has set no new minimum for ${stalled}`;
  return `round ${round}: ${rates}${words}`;
}
