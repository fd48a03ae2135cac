import type { SteeringInputs } from '../../protocol/public/steering.ts';
import { formatRate } from '../../protocol/quantity.ts';
import type { MemorySample } from '../../protocol/public/migration.ts';
import type { SteeringView } from './steering.ts';
import type { SteeringTrace } from './trace.ts';
import { outpacingRate } from './write-rate.ts';

/** The figures that a decision rests on, and the words for them. Pure. */

export function inputsOf(view: SteeringView): SteeringInputs {
  const { sample, trace, leftMs } = view;
  const { round, remainingBytes, dirtyRate } = sample;
  const rate = Math.round(steadyRate(sample, trace));
  const writeRate = outpacingRate(view);
  return {
    round,
    remainingBytes,
    rate,
    dirtyRate,
    ...(writeRate === undefined ? {} : { writeRate }),
    expectedDowntimeMs: Math.round(Math.max(sample.expectedDowntimeMs ?? 0, reckonedMs(view))),
    stalledRounds: trace?.stalledRounds ?? 0,
    leftMs: Math.max(0, Math.round(leftMs)),
  };
}

/**
 * What the rest takes that the round began with, ms: as a round begins, the hypervisor's own figure is of the round before, or
 * still the downtime that it was asked for.
 */
export function reckonedMs({ sample, trace }: SteeringView): number {
  const { round, remainingBytes } = sample;
  const atStart = trace?.round === round ? trace.remainingBytes : remainingBytes;
  return (atStart * 1000) / Math.max(1, steadyRate(sample, trace));
}

/**
 * bytes/s of the link: the hypervisor's figure, or the mean of the latest rounds (2 s at least) where that is more. A single
 * look may fall into a short standstill.
 */
export function steadyRate(
  { rate, transferredBytes, totalMs }: MemorySample,
  trace: Pick<SteeringTrace, 'meanFrom'> | undefined,
): number {
  const { atMs = 0, transferredBytes: before = 0 } = trace?.meanFrom?.[0] ?? {};
  const [ms, bytes] = [totalMs - atMs, transferredBytes - before];
  return ms <= 0 ? rate : Math.max(rate, (bytes * 1000) / ms);
}

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
