import type { MigrationSettings } from '../../protocol/public/migration.ts';
import type { CurvePoint } from '../../protocol/public/prediction.ts';
import { dirtiedWithin } from './curve.ts';
import {
  CAPPED_PIECE_MS,
  CONVERGING_SHARE,
  PIECE_MS,
  PIECE_SHARE,
  POSTCOPY_AFTER_MS,
  POSTCOPY_PASS,
  ROUND_SPREAD,
} from './parameters.ts';

/** The rounds of a migration, one after the other, from what a byte costs and the working set’s curve. Pure. */

/** What is sent, and what it costs on the data path that memory takes. */
export interface Load {
  readonly memoryBytes: number;
  readonly curve: readonly CurvePoint[];
  /** Of a pass over all of memory. */
  readonly passMs: number;
  readonly passBytes: number;
  /** Of a byte of memory that is sent again. */
  readonly againMsPerByte: number;
  readonly againBytesPerByte: number;
}

export type Policy = Pick<
  MigrationSettings,
  'mode' | 'maxDowntimeMs' | 'maxBandwidth' | 'hybridRounds'
> & {
  /** For memory alone, ms. */
  readonly timeoutMs: number;
};

export interface Rounds {
  /** `never`: the rounds go on until the time is over. */
  readonly ends: 'precopy' | 'postcopy' | 'never';
  readonly rounds: number;
  readonly bytes: number;
  readonly memoryMs: number;
  /** Of these, while the guest is paused. */
  readonly finalMs: number;
  /** The last round that the guest ran through: how long it took, and how much was dirtied in it. */
  readonly lastMs: number;
  readonly lastDirtied: number;
}

/** Beyond these a migration takes as long as it may, whatever the next would bring. */
const MOST_ROUNDS = 5000;
/** A round that is shorter than the one before by no more than this share: each one after it is as long. */
const STANDSTILL = 1e-5;

/**
 * Pre-copy sends until what remains fits into the downtime, looks what was dirtied meanwhile, and goes on with that. What
 * fits stays for the end, so that each round after the first takes as long as sending what the round before dirtied, and
 * the guest is stopped once that is less than one piece of the hypervisor’s work. A guest does not write the same in each
 * round: the nearer the usual one comes to a piece, the sooner one of them is small enough. `tail`: how much of what may
 * remain at the switch does remain, 0 to 1.
 */
export function simulate(load: Load, policy: Policy, tail: number): Rounds {
  if (policy.mode === 'postcopy') return postcopy(load, POSTCOPY_AFTER_MS);
  const pieceMs = (policy.maxBandwidth === undefined ? PIECE_MS : CAPPED_PIECE_MS) * PIECE_SHARE;
  const fitsMs = Math.min(policy.maxDowntimeMs, load.passMs);
  const slackMs = Math.min(pieceMs, policy.maxDowntimeMs);
  let lastMs = load.passMs - fitsMs + Math.min(slackMs, fitsMs);
  let memoryMs = lastMs;
  let bytes = load.passBytes;
  let round = 1;
  /** How many of the rounds so far were small enough, on average. */
  let enough = 0;
  for (;;) {
    const lastDirtied = dirtiedWithin(load.curve, lastMs, load.memoryBytes);
    const nextMs = lastDirtied * load.againMsPerByte;
    const last = { lastMs, lastDirtied };
    const cut = (): Rounds => never(load, policy, { ...last, round, bytes });
    const chance = chanceOf(nextMs, slackMs);
    const isStill = nextMs >= lastMs * (1 - STANDSTILL);
    if (enough + chance < 1 && isStill && policy.mode !== 'hybrid') {
      // Each further round is as long as this one.
      const further = Math.ceil((1 - enough) / chance) - 1;
      if (further > MOST_ROUNDS - round) return cut();
      round += further;
      memoryMs += further * nextMs;
      bytes += further * lastDirtied * load.againBytesPerByte;
      enough = 1;
    }
    enough += chance;
    if (enough >= 1) {
      const restMs = fitsMs - Math.min(slackMs, fitsMs);
      memoryMs += restMs + nextMs;
      if (memoryMs > policy.timeoutMs) return cut();
      bytes += lastDirtied * load.againBytesPerByte;
      const finalMs = tail * restMs + Math.min(nextMs, slackMs);
      return { ends: 'precopy', rounds: round, bytes, memoryMs, finalMs, ...last };
    }
    if (memoryMs > policy.timeoutMs || round >= MOST_ROUNDS) return cut();
    if (policy.mode === 'hybrid' && givesUp(round, policy, lastMs, nextMs))
      return follow(load, { memoryMs, bytes, rounds: round, ...last });
    bytes += lastDirtied * load.againBytesPerByte;
    memoryMs += nextMs;
    lastMs = nextMs;
    round += 1;
  }
}

/** That a round is small enough whose usual size is this, ms; as far out as it lies, as seldom it is. */
function chanceOf(usualMs: number, slackMs: number): number {
  if (usualMs < slackMs) return 1;
  return Math.exp(-((Math.log(usualMs / slackMs) / ROUND_SPREAD) ** 2) / 2);
}

/** As the steering decides it, from the second round on (`steering.ts`). */
function givesUp(round: number, policy: Policy, lastMs: number, nextMs: number): boolean {
  if (round >= policy.hybridRounds) return true;
  return round >= 2 && nextMs >= lastMs * CONVERGING_SHARE && nextMs > policy.maxDowntimeMs;
}

/** From the start: nothing is sent twice but what was dirtied before it began. */
function postcopy(load: Load, afterMs: number): Rounds {
  const sentMs = Math.min(afterMs, load.passMs);
  const lastDirtied = dirtiedWithin(load.curve, sentMs, load.memoryBytes);
  return {
    ends: 'postcopy',
    rounds: 1,
    bytes: load.passBytes + lastDirtied * load.againBytesPerByte,
    memoryMs: sentMs + (load.passMs - sentMs) * POSTCOPY_PASS + lastDirtied * load.againMsPerByte,
    finalMs: 0,
    lastMs: sentMs,
    lastDirtied,
  };
}

/** What is left after the rounds of pre-copy follows the guest. */
function follow(load: Load, before: Omit<Rounds, 'ends' | 'finalMs'>): Rounds {
  const bytes = before.bytes + before.lastDirtied * load.againBytesPerByte;
  const memoryMs = before.memoryMs + before.lastDirtied * load.againMsPerByte * POSTCOPY_PASS;
  return { ...before, ends: 'postcopy', bytes, memoryMs, finalMs: 0 };
}

/** Goes on at the rate that it has until the time is over. */
function never(
  load: Load,
  { timeoutMs }: Policy,
  now: { round: number; bytes: number; lastMs: number; lastDirtied: number },
): Rounds {
  const { lastMs, lastDirtied } = now;
  const laterMs = Math.max(0, timeoutMs - load.passMs);
  const later =
    load.againMsPerByte > 0 ? (laterMs * load.againBytesPerByte) / load.againMsPerByte : 0;
  return {
    ends: 'never',
    rounds: Math.max(now.round, Math.round(laterMs / Math.max(lastMs, 1))),
    bytes: load.passBytes * Math.min(1, timeoutMs / Math.max(load.passMs, 1)) + later,
    memoryMs: timeoutMs,
    finalMs: 0,
    lastMs,
    lastDirtied,
  };
}
