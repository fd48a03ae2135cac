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

/** The rounds of a migration, one after the other, from what a byte costs and the working set’s curve. Pure. */

export interface Rounds extends RoundsSoFar {
  /** `never`: the rounds go on until the time is over; `given-up`: the strategy ends them before that. */
  readonly ends: 'precopy' | 'postcopy' | 'given-up' | 'never';
  readonly bytes: number;
  /** Of `memoryMs`, while the guest is paused. */
  readonly finalMs: number;
  /** Of these, while memory follows by post-copy; absent: none does. */
  readonly lateMs?: number;
  /** What the steering does meanwhile, in its order. */
  readonly steps: readonly SteeredStep[];
}

/** The guest comes over. */
export const isThere = ({ ends }: Pick<Rounds, 'ends'>): boolean =>
  ends === 'precopy' || ends === 'postcopy';

/** Beyond these a migration takes as long as it may, whatever the next would bring. */
const MAX_ROUNDS = 5000;
/** A round that is shorter than the one before by no more than this share: each one after it is as long. */
const STANDSTILL = 1e-5;

/**
 * Pre-copy sends until what remains fits into the downtime, looks what was dirtied meanwhile, and goes on with that. What
 * fits stays for the end, so that each round after the first takes as long as sending what the round before dirtied, and
 * the guest is stopped once that is less than one piece of the hypervisor’s work. A guest does not write the same in each
 * round: the nearer the usual one comes to a piece, the sooner one of them is small enough. After each round the steering
 * decides, as it does in a migration. `tail`: how much of what may remain at the switch does remain, 0 to 1.
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
  /** How many of the rounds so far were small enough, on average. */
  let enough = 0;
  for (;;) {
    const { speed } = steered;
    const lastDirtied = dirtiedWithin(load.curve, lastMs * speed, load.memoryBytes);
    const nextMs = newMs(load, { round, lastMs, lastDirtied, restMs, slackMs, speed });
    const now = { lastMs, lastDirtied, memoryMs, bytes, rounds: round, steps: steered.steps };
    const chance = chanceOf(nextMs, slackMs);
    const isStill = round > 1 && nextMs >= lastMs * (1 - STANDSTILL);
    if (enough + chance < 1 && isStill && steered.isSettled) {
      // Each further round is as long as this one.
      const further = Math.ceil((1 - enough) / chance) - 1;
      if (further > MAX_ROUNDS - round) return never(load, policy, now);
      round += further;
      memoryMs += further * nextMs;
      bytes += further * sentAgain(load, nextMs);
      enough = 1;
    }
    enough += chance;
    // All of memory fits into the downtime: the guest is stopped as soon as that is known.
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
    // All that is left fits into a downtime that was raised.
    if (lastMs === 0)
      return { ...now, ends: 'precopy', bytes, memoryMs: memoryMs + restMs, finalMs: restMs };
    round += 1;
  }
}

/** How long the next round goes on, what stays for the end, and how little the round after it must leave, ms. */
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
 * What a round leaves beside what stayed for the end, ms. What stayed was dirtied in the rounds before: both together are
 * no more than what the guest writes within their time, so that a downtime for which all that it keeps writing is small
 * enough ends pre-copy. What is small enough with less for the end is with more.
 */
function newMs(load: Load, { round, lastMs, lastDirtied, restMs, slackMs, speed }: Round): number {
  const { curve, againMsPerByte, memoryBytes } = load;
  const alone = lastDirtied * againMsPerByte;
  // What stays at the end of the first pass has not been sent at all yet.
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

/** That a round is small enough whose usual size is this, ms; as far out as it lies, as seldom it is. */
function chanceOf(usualMs: number, slackMs: number): number {
  if (usualMs < slackMs) return 1;
  return Math.exp(-((Math.log(usualMs / slackMs) / ROUND_SPREAD) ** 2) / 2);
}

/** In the first round: of what was sent by then, nothing is sent twice but what was dirtied since. */
function postcopyAfter(ms: number, load: Load, steps: Rounds['steps'] = []): Rounds {
  const sentMs = Math.min(ms, load.passMs);
  // From the start, what little is sent may be what is written.
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

/** What is left after the rounds of pre-copy follows the guest. */
function follow(before: Before, pendingMs: number): Rounds {
  const lateMs = pendingMs * POSTCOPY_PASS;
  return { ...before, ends: 'postcopy', memoryMs: before.memoryMs + lateMs, finalMs: 0, lateMs };
}

/** Goes on at the rate that it has until the time is over. */
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
