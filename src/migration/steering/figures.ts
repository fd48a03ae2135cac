import type { SteeringInputs } from '../../protocol/public/steering.ts';
import { formatRate } from '../../protocol/quantity.ts';
import type { MemorySample } from '../../protocol/public/migration.ts';
import type { SteeringView } from './steering.ts';
import { outpacingRate } from './write-rate.ts';

/** The figures that a decision rests on, and the words for them. Pure. */

export function inputsOf(view: SteeringView): SteeringInputs {
  const { sample, trace, leftMs } = view;
  const { round, remainingBytes, rate, dirtyRate } = sample;
  // As a round begins, the hypervisor's own figure is of the round before, or still the downtime that it was asked for.
  const atStart = trace?.round === round ? trace.remainingBytes : remainingBytes;
  const reckoned = (atStart * 1000) / Math.max(1, steadyRate(sample));
  const writeRate = outpacingRate(view);
  return {
    round,
    remainingBytes,
    rate,
    dirtyRate,
    ...(writeRate === undefined ? {} : { writeRate }),
    expectedDowntimeMs: Math.round(Math.max(sample.expectedDowntimeMs ?? 0, reckoned)),
    stalledRounds: trace?.stalledRounds ?? 0,
    leftMs: Math.max(0, Math.round(leftMs)),
  };
}

/** bytes/s of the link: a single look at it may fall into a short standstill. */
export function steadyRate({ rate, transferredBytes, totalMs }: MemorySample): number {
  return totalMs === 0 ? rate : Math.max(rate, (transferredBytes * 1000) / totalMs);
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
