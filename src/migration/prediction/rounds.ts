import { dirtiedWithin } from './curve.ts';
import {
  CAPPED_PIECE_MS,
  PIECE_MS,
  PIECE_SHARE,
  POSTCOPY_AFTER_MS,
  POSTCOPY_PASS,
  ROUND_SPREAD,
} from './parameters.ts';
import { sinceSent } from '../steering/first-round.ts';
import type { Load } from './load.ts';
import {
  SteeredRounds,
  type Policy,
  type RoundsSoFar,
  type SteeredStep,
} from './steered-rounds.ts';

/** Simulates the rounds of a migration from the cost per byte and the working set curve. Pure. */

export interface Rounds extends RoundsSoFar {
  /** `never`: rounds continue to the time limit; `given-up`: the strategy ends them earlier. */
  readonly ends: 'precopy' | 'postcopy' | 'given-up' | 'never';
  readonly bytes: number;
  /** Part of `memoryMs` during the pause. */
  readonly finalMs: number;
  /** Part of `memoryMs` in post-copy; absent: none. */
  readonly lateMs?: number;
  readonly steps: readonly SteeredStep[];
}

export const isThere = ({ ends }: Pick<Rounds, 'ends'>): boolean =>
  ends === 'precopy' || ends === 'postcopy';

/** After these rounds the migration counts as not converging. */
const MAX_ROUNDS = 5000;
/** Relative change below which rounds count as constant. */
const STANDSTILL = 1e-5;

/**
 * Pre-copy sends until the remainder fits into the downtime, checks what was dirtied, and repeats. The remainder
 * stays for the end, so each round takes as long as sending what the previous one dirtied, and the guest is stopped
 * once that is less than one piece of the hypervisor's work. Writes vary between rounds: the closer a usual round is
 * to one piece, the sooner one is small enough. `tail`: actual share of the allowed remainder at the switchover, 0 to
 * 1.
 */
export function simulate(load: Load, policy: Policy, tail: number): Rounds {
  const steered = new SteeredRounds(load, policy);
  if (policy.mode === 'postcopy' || steered.isPostcopyAtOnce)
    return postcopyAfter(POSTCOPY_AFTER_MS, load);
  const earlyMs = steered.postcopyInFirstRound();
  if (earlyMs !== undefined) return postcopyAfter(earlyMs, load, steered.steps);
  let { lastMs, restMs, slackMs } = nextRound(load, policy, steered.downtimeMs, load.passMs);
  let memoryMs = lastMs;
  let bytes = load.passBytes;
  let round = 1;
  /** Expected number of rounds that were small enough. */
  let enough = 0;
  for (;;) {
    const { speed } = steered;
    const lastDirtied = dirtiedWithin(load.curve, lastMs * speed, load.memoryBytes);
    const nextMs = newMs(load, { round, lastMs, lastDirtied, restMs, slackMs, speed });
    const now = { lastMs, lastDirtied, memoryMs, bytes, rounds: round, steps: steered.steps };
    const chance = chanceOf(nextMs, slackMs);
    const isStill = round > 1 && nextMs >= lastMs * (1 - STANDSTILL);
    if (enough + chance < 1 && isStill && steered.isSettled) {
      // Each further round takes as long as this one.
      const further = Math.ceil((1 - enough) / chance) - 1;
      if (further > MAX_ROUNDS - round) return never(load, policy, now);
      round += further;
      memoryMs += further * nextMs;
      bytes += further * sentAgain(load, nextMs);
      enough = 1;
    }
    enough += chance;
    // All memory fits into the downtime.
    const fits = load.passMs <= steered.downtimeMs;
    if (fits || enough >= 1) {
      const againMs = fits ? Math.min(nextMs, PIECE_MS * PIECE_SHARE) : nextMs;
      memoryMs += restMs + againMs;
      if (memoryMs > policy.timeoutMs) return never(load, policy, now);
      bytes += sentAgain(load, againMs);
      const finalMs = tail * restMs + Math.min(nextMs, slackMs);
      return { ...now, ends: 'precopy', rounds: round, bytes, memoryMs, finalMs };
    }
    if (memoryMs > policy.timeoutMs || round >= MAX_ROUNDS) return never(load, policy, now);
    const pendingMs = restMs + nextMs;
    const decided = steered.afterRound({ ...now, pendingMs });
    bytes += sentAgain(load, nextMs);
    if (decided === 'postcopy') return follow({ ...now, bytes }, pendingMs);
    if (decided === 'give-up') return { ...now, ends: 'given-up', finalMs: 0 };
    ({ lastMs, restMs, slackMs } = nextRound(load, policy, steered.downtimeMs, pendingMs));
    memoryMs += lastMs;
    // The remainder fits into a downtime that was raised.
    if (lastMs === 0)
      return { ...now, ends: 'precopy', bytes, memoryMs: memoryMs + restMs, finalMs: restMs };
    round += 1;
  }
}

/** Duration of the next round, the remainder for the end, and the limit for the round after it, ms. */
function nextRound(
  { passMs }: Load,
  { maxBandwidth }: Policy,
  downtimeMs: number,
  pendingMs: number,
): { readonly lastMs: number; readonly restMs: number; readonly slackMs: number } {
  const pieceMs = (maxBandwidth === undefined ? PIECE_MS : CAPPED_PIECE_MS) * PIECE_SHARE;
  const fitsMs = Math.min(downtimeMs, passMs);
  const slackMs = Math.min(pieceMs, downtimeMs);
  if (pendingMs < fitsMs) return { lastMs: 0, restMs: pendingMs, slackMs };
  const restMs = fitsMs - Math.min(slackMs, fitsMs);
  return { lastMs: pendingMs - restMs, restMs, slackMs };
}

interface Round {
  readonly round: number;
  readonly lastMs: number;
  readonly lastDirtied: number;
  readonly restMs: number;
  readonly slackMs: number;
  readonly speed: number;
}

/**
 * Newly dirtied remainder of a round, beyond the remainder that stayed, ms. Both together are limited to the guest's
 * writes in that time, so that a downtime above its whole working set ends pre-copy.
 */
function newMs(load: Load, { round, lastMs, lastDirtied, restMs, slackMs, speed }: Round): number {
  const { curve, againMsPerByte, memoryBytes } = load;
  const alone = lastDirtied * againMsPerByte;
  // At the end of the first pass, the remainder has never been sent.
  if (round === 1) return alone;
  const turns = curve.map(({ windowMs }) => windowMs / Math.max(speed, 0.01) - lastMs);
  const rests = [restMs, ...turns.filter((each) => each > 0 && each < restMs)];
  const both = rests.map((rest) => {
    const within = dirtiedWithin(curve, (lastMs + rest) * speed, memoryBytes);
    return within * againMsPerByte - rest;
  });
  const least = Math.max(0, Math.min(alone, ...both));
  return least < slackMs ? least : alone;
}

const sentAgain = ({ againMsPerByte, againBytesPerByte }: Load, ms: number): number =>
  againMsPerByte > 0 ? (ms * againBytesPerByte) / againMsPerByte : 0;

/** Probability that a round of this usual size, ms, is small enough; falls with the distance. */
function chanceOf(usualMs: number, slackMs: number): number {
  if (usualMs < slackMs) return 1;
  return Math.exp(-((Math.log(usualMs / slackMs) / ROUND_SPREAD) ** 2) / 2);
}

/** In the first round, only pages dirtied after their sending are sent again. */
function postcopyAfter(ms: number, load: Load, steps: Rounds['steps'] = []): Rounds {
  const sentMs = Math.min(ms, load.passMs);
  // If post-copy begins at once, the few sent pages may be the written ones.
  const lastDirtied =
    ms > POSTCOPY_AFTER_MS
      ? (sinceSent(load.curve, sentMs, load.memoryBytes) * sentMs) / load.passMs
      : dirtiedWithin(load.curve, sentMs, load.memoryBytes);
  const lateMs = (load.passMs - sentMs) * POSTCOPY_PASS + lastDirtied * load.againMsPerByte;
  return {
    ends: 'postcopy',
    rounds: 1,
    bytes: load.passBytes + lastDirtied * load.againBytesPerByte,
    memoryMs: sentMs + lateMs,
    finalMs: 0,
    lateMs,
    lastMs: sentMs,
    lastDirtied,
    steps,
  };
}

type Before = Omit<Rounds, 'ends' | 'finalMs'>;

function follow(before: Before, pendingMs: number): Rounds {
  const lateMs = pendingMs * POSTCOPY_PASS;
  return { ...before, ends: 'postcopy', memoryMs: before.memoryMs + lateMs, finalMs: 0, lateMs };
}

function never(load: Load, { timeoutMs }: Policy, now: Before): Rounds {
  const { lastMs, rounds } = now;
  const laterMs = Math.max(0, timeoutMs - load.passMs);
  return {
    ...now,
    ends: 'never',
    rounds: Math.max(rounds, Math.round(laterMs / Math.max(lastMs, 1))),
    bytes:
      load.passBytes * Math.min(1, timeoutMs / Math.max(load.passMs, 1)) + sentAgain(load, laterMs),
    memoryMs: timeoutMs,
    finalMs: 0,
  };
}
