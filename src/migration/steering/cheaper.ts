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

/** Compares post-copy now with more pre-copy: time until all memory has arrived, plus the guest's lost work. Pure. */

export interface Outlook {
  readonly sample: MemorySample;
  readonly trace: Pick<SteeringTrace, 'round' | 'remainingBytes' | 'atMs'> | undefined;
  /** Sample of the guest's pages during the first round; absent: none. */
  readonly writes?: Writes | undefined;
  /** bytes/s of the link. */
  readonly rate: number;
  /** Maximum downtime that pre-copy may plan for, ms. */
  readonly downtimeMs: number;
}

/** Work that a busy guest loses per second of post-copy (bench/results/convergence.md). */
export const LOST_SHARE = 0.75;
/** Simulated rounds; a converging migration needs fewer. */
const MAX_ROUNDS = 100;

/**
 * Chooses post-copy if further rounds cost more. Undefined otherwise, while the last measure takes effect, and while
 * a smaller remainder is awaited.
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

/** Time from now until all memory has arrived, plus lost work, ms. */
export interface Costs {
  /** Cost of post-copy now. */
  readonly nowMs: number;
  /** Lower bound for pre-copy as long as it is useful. */
  readonly laterMs: number;
}

export function costsOf(outlook: Outlook): Costs | undefined {
  return outlook.sample.round < 2 ? inFirstRound(outlook) : byRounds(outlook);
}

/**
 * Post-copy sends the remainder once. Pre-copy repeats until the remainder fits into the downtime, without loss for
 * the guest, or post-copy takes over after a later round.
 */
function byRounds({ sample, trace, writes, rate, downtimeMs }: Outlook): Costs | undefined {
  const { round, dirtyRate } = sample;
  const remainingBytes = trace?.round === round ? trace.remainingBytes : sample.remainingBytes;
  const isSecond = round === 2 && trace?.round === 2;
  const byRateMs = dirtyRate === 0 ? undefined : (remainingBytes * 1000) / dirtyRate;
  const tookMs = (isSecond ? trace.atMs : undefined) ?? byRateMs;
  if (tookMs === undefined || remainingBytes === 0) return undefined;
  // Writes of the sample that the guest no longer makes in the round do not count.
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
 * Post-copy sends the remainder, plus rewritten pages, and the guest loses work meanwhile. After a full first round, it
 * only loses work for pages written by then, but these are more.
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
