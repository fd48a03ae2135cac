import { defined } from '../../protocol/defined.ts';
import type { MemorySample } from '../../protocol/public/migration.ts';
import type { SteeringChange } from '../../protocol/public/steering.ts';

/** Memory of steering, made from the journal alone. Pure. */

export interface SteeringTrace {
  readonly round: number;
  /** Remainder at its start, bytes. */
  readonly remainingBytes: number;
  /** Smallest remainder at the start of any round, bytes. */
  readonly leastBytes: number;
  /** Rounds without a new minimum since the last minimum, measure or throttling. */
  readonly stalledRounds: number;
  /** Maximum observed throttling at the start of a round, by any cause. */
  readonly slowedPercent?: number;
  /** Round of the last measure; 0: none. */
  readonly decidedRound: number;
  /** Set by steering; absent: as at the start. */
  readonly downtimeMs?: number;
  readonly throttlePercent?: number;
  /** Stream time at the start of the newest round, and at the last measure, ms. */
  readonly atMs?: number;
  readonly decidedAtMs?: number;
  /** Change of the last measure; absent after a failure. */
  readonly change?: SteeringChange;
  /** Failed changes, newest last. */
  readonly failed?: readonly (SteeringChange['of'] | 'postcopy')[];
  readonly last?: string;
}

/** A new minimum must be below this share of the old one. */
const NEW_MINIMUM = 0.95;

const NOTHING_SEEN: SteeringTrace = {
  round: 0,
  remainingBytes: 0,
  leastBytes: Infinity,
  stalledRounds: 0,
  decidedRound: 0,
};

/**
 * Starts a round. Only a new minimum counts as progress, not a fluctuation. A guest that was just throttled gets time
 * to show the effect.
 */
export function afterRound(trace: SteeringTrace | undefined, sample: MemorySample): SteeringTrace {
  const before = trace ?? NOTHING_SEEN;
  const { round, remainingBytes, throttlePercent = 0 } = sample;
  if (round <= before.round) return before;
  // An empty remainder cannot become less.
  const isLess =
    remainingBytes < before.leastBytes && remainingBytes <= before.leastBytes * NEW_MINIMUM;
  const isSlower = throttlePercent > (before.slowedPercent ?? 0);
  return {
    ...before,
    ...(isSlower ? { slowedPercent: throttlePercent } : {}),
    round,
    remainingBytes,
    atMs: sample.totalMs,
    leastBytes: Math.min(before.leastBytes, remainingBytes),
    stalledRounds: isLess || isSlower ? 0 : before.stalledRounds + 1,
  };
}

/** Records a measure, which then gets its own rounds to take effect. */
export function afterMeasure(
  trace: SteeringTrace | undefined,
  words: string,
  change: SteeringChange | undefined,
): SteeringTrace {
  const before = trace ?? NOTHING_SEEN;
  const set = change === undefined ? {} : { [change.of]: change.to };
  return {
    ...before,
    ...set,
    ...defined({ change, decidedAtMs: before.atMs }),
    stalledRounds: 0,
    decidedRound: before.round,
    last: words,
  };
}

const MAX_FAILED = 8;

/** Records that the last decision could not be applied. `postcopy`: it was the change to post-copy. */
export function afterFailure(trace: SteeringTrace, words: string, postcopy = false): SteeringTrace {
  const { change, ...before } = trace;
  if (postcopy) {
    const failed = [...(before.failed ?? []), 'postcopy' as const].slice(-MAX_FAILED);
    return { ...trace, failed, last: words };
  }
  if (change === undefined) return trace;
  const failed = [...(before.failed ?? []), change.of].slice(-MAX_FAILED);
  return { ...before, [change.of]: change.from, failed, last: words };
}
