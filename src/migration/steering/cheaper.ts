import type { MemorySample } from '../../protocol/public/migration.ts';
import type { SteeringInputs, SteeringStrategy } from '../../protocol/public/steering.ts';
import { formatBytes, formatDuration } from '../../protocol/quantity.ts';
import { dirtiedWithin } from '../prediction/curve.ts';
import { plannedDowntimeMs } from './downtime.ts';
import { wordsOf } from './figures.ts';
import { firstRoundOf } from './first-round.ts';
import type { Decision, SteeringView } from './decision.ts';
import type { SteeringTrace } from './trace.ts';
import type { Writes } from './write-rate.ts';

/**
 * Whether post-copy now costs less than going on by pre-copy: the time until all memory is there, and the work that the
 * guest loses meanwhile. Pure.
 */

export interface Outlook {
  readonly sample: MemorySample;
  readonly trace: Pick<SteeringTrace, 'round' | 'remainingBytes' | 'atMs'> | undefined;
  /** A look at the guest's pages while the first round ran; absent: nobody looked. */
  readonly writes?: Writes | undefined;
  /** bytes/s of the link. */
  readonly rate: number;
  /** That pre-copy may plan for at the most, ms. */
  readonly downtimeMs: number;
}

/** Of each second in which the rest follows by post-copy, a busy guest loses so much of its work (bench/results/convergence.md). */
export const LOST_SHARE = 0.75;
/** Rounds that are reckoned ahead: those that lead somewhere are fewer. */
const MAX_ROUNDS = 100;

/**
 * Post-copy where further rounds cost more; undefined where they do not, where the last measure has yet to show what it
 * brings, and where the strategy has post-copy wait for a smaller remainder.
 */
export function forCost(
  strategy: SteeringStrategy,
  { sample, trace, writes, settings, underWayMs = 0 }: SteeringView,
  inputs: SteeringInputs,
): Decision | undefined {
  const { round, remainingBytes } = inputs;
  const { decidedRound = 0 } = trace ?? {};
  const { postcopyIfCheaper = false, postcopyWithinMs = Infinity } = strategy;
  if (!postcopyIfCheaper || (decidedRound !== 0 && round <= decidedRound + 1)) return undefined;
  const rate = Math.max(inputs.rate, writes?.linkRate ?? 0);
  if (rate <= 0 || (remainingBytes * 1000) / rate > postcopyWithinMs) return undefined;
  const downtimeMs = plannedDowntimeMs(settings.maxDowntimeMs, underWayMs);
  const costs = costsOf({ sample, trace, writes, rate, downtimeMs });
  if (costs === undefined || costs.nowMs >= costs.laterMs) return undefined;
  const [now, later] = [costs.nowMs, costs.laterMs].map((ms) => formatDuration(Math.round(ms)));
  const seen = round < 2 ? `round ${round}: ${writtenWords(writes)}` : wordsOf(inputs);
  const why = `${seen}; in time and lost work post-copy costs ${now} now, and ${later} or more later`;
  return { what: 'postcopy', rule: 'cheaper', why, inputs };
}

export function writtenWords(writes: Writes | undefined): string {
  const point = writes?.long ?? writes?.curve.at(-1);
  if (point === undefined) return 'nothing is known of what the guest writes';
  return `the guest writes ${formatBytes(point.dirtyBytes)} in ${formatDuration(point.windowMs)}`;
}

/** From now on: the time until all memory is there, and the work that the guest loses, ms. */
export interface Costs {
  /** With post-copy now. */
  readonly nowMs: number;
  /** With pre-copy as long as it is of use, at the least. */
  readonly laterMs: number;
}

/** Undefined where nothing can be said. */
export function costsOf(outlook: Outlook): Costs | undefined {
  return outlook.sample.round < 2 ? inFirstRound(outlook) : byRounds(outlook);
}

/**
 * Post-copy sends what is left once. Pre-copy sends that, and what is written meanwhile, and so on, until what is left fits
 * into the downtime, and the guest loses nothing, or post-copy takes over after a later round.
 */
function byRounds({ sample, trace, writes, rate, downtimeMs }: Outlook): Costs | undefined {
  const { round, dirtyRate } = sample;
  const remainingBytes = trace?.round === round ? trace.remainingBytes : sample.remainingBytes;
  const isSecond = round === 2 && trace?.round === 2;
  const byRateMs = dirtyRate === 0 ? undefined : (remainingBytes * 1000) / dirtyRate;
  const tookMs = (isSecond ? trace.atMs : undefined) ?? byRateMs;
  if (tookMs === undefined || remainingBytes === 0) return undefined;
  // What it wrote in the look and no longer in the round is not held against it.
  const known = (writes?.curve ?? [])
    .filter(({ windowMs }) => windowMs < tookMs)
    .map(({ windowMs, dirtyBytes }) => {
      return { windowMs, dirtyBytes: Math.min(dirtyBytes, remainingBytes) };
    });
  const curve = [...known, { windowMs: tookMs, dirtyBytes: remainingBytes }];
  const msOf = (bytes: number): number => (bytes * 1000) / rate;
  const withPostcopyMs = (bytes: number): number => msOf(bytes) * (1 + LOST_SHARE);
  let [bytes, sent, leastMs] = [remainingBytes, 0, Infinity];
  for (let ahead = 0; ahead < MAX_ROUNDS && msOf(sent) < leastMs; ahead += 1) {
    sent += bytes;
    bytes = dirtiedWithin(curve, msOf(bytes), remainingBytes);
    const isEnough = msOf(bytes) <= downtimeMs;
    leastMs = Math.min(leastMs, msOf(sent) + (isEnough ? msOf(bytes) : withPostcopyMs(bytes)));
  }
  return { nowMs: withPostcopyMs(remainingBytes), laterMs: leastMs };
}

/**
 * Post-copy sends the rest of memory, and what was written of that which is there already; the guest loses work for as
 * long. After a first round to its end that work is only lost for what was written by then, which is more.
 */
function inFirstRound({ sample, writes, rate }: Outlook): Costs | undefined {
  const ahead = firstRoundOf(sample, writes, rate);
  if (ahead === undefined) return undefined;
  const { restMs, againNowMs, againThenMs } = ahead;
  return {
    nowMs: (restMs + againNowMs) * (1 + LOST_SHARE),
    laterMs: restMs + againThenMs * (1 + LOST_SHARE),
  };
}
