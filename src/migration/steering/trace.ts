import { defined } from '../../protocol/defined.ts';
import type { MemorySample } from '../../protocol/public/migration.ts';
import type { SteeringChange } from '../../protocol/public/steering.ts';

/** What steering remembers of a migration: made from its journal alone, so that a mover that takes over goes on. Pure. */

export interface SteeringTrace {
  /** The newest round that was seen to begin. */
  readonly round: number;
  /** What remained as it began, bytes. */
  readonly remainingBytes: number;
  /** The least that remained as any round began, bytes. */
  readonly leastBytes: number;
  /** Rounds since, since the last measure, and since the guest was slowed down more, in which what remains set no new minimum. */
  readonly stalledRounds: number;
  /** The most by which the guest was seen slowed down as a round began, whoever did it. */
  readonly slowedPercent?: number;
  /** The round in which the last measure was taken; 0: none was. */
  readonly decidedRound: number;
  /** As steering set them; absent: as they were at the start. */
  readonly downtimeMs?: number;
  readonly throttlePercent?: number;
  /** When the newest round was seen to begin, and when the last measure was taken, ms of the stream. */
  readonly atMs?: number;
  readonly decidedAtMs?: number;
  /** What the last measure was to set; absent once that has failed. */
  readonly change?: SteeringChange;
  /** What could not be set, the newest last. */
  readonly failed?: readonly (SteeringChange['of'] | 'postcopy')[];
  /** The last decision in words. */
  readonly last?: string;
}

/** A remainder that is not less than this share of the least so far is no new minimum. */
const NEW_MINIMUM = 0.95;

const NOTHING_SEEN: SteeringTrace = {
  round: 0,
  remainingBytes: 0,
  leastBytes: Infinity,
  stalledRounds: 0,
  decidedRound: 0,
};

/** A round began. A remainder that swings is no progress: only a new minimum is. A guest that is slower now has yet to show what that brings. */
export function afterRound(trace: SteeringTrace | undefined, sample: MemorySample): SteeringTrace {
  const before = trace ?? NOTHING_SEEN;
  const { round, remainingBytes, throttlePercent = 0 } = sample;
  if (round <= before.round) return before;
  // Nothing is no less than nothing.
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

/** A measure was taken: it gets rounds of its own to show what it brings. */
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

/** Failures that are remembered. */
const MAX_FAILED = 8;

/** What was decided last could not be set: the stream is as it was before. `postcopy`: that was the switch to it. */
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
