import { z } from 'zod';
import { bytes, ms, shortText } from '../names.ts';

/** Strategies for memory that moves, as data, and records of decisions. */

/** Measures against pre-copy that does not converge, other than giving up. */
export const STEERING_MEASURES = ['downtime', 'throttle', 'postcopy'] as const;
const steeringMeasure = z.enum(STEERING_MEASURES);
export type SteeringMeasure = z.infer<typeof steeringMeasure>;

/** Unknown fields are refused. */
export const steeringStrategy = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/, 'a name of a-z, 0-9 and - that begins with a letter'),
  maxDowntimeMs: z.number().int().min(1).max(60_000).default(100),
  /** Measures in order; empty: none. */
  measures: z.array(steeringMeasure).max(STEERING_MEASURES.length).default([]),
  /** Rising shares of the longest downtime: the first from the start, the others with the measure `downtime`. */
  downtimeShares: z.array(z.number().min(0.01).max(1)).min(1).max(16).default([1]),
  /** Rising throttle values of the measure `throttle`, percent of processor time. */
  throttlePercents: z.array(z.number().int().min(2).max(99)).max(16).default([]),
  /** Rounds without a new minimum of remaining memory (by 5 %) before the next measure. */
  stalledRounds: z.number().int().min(1).max(20).default(1),
  /** Post-copy after this many rounds in any case; 0: from the start. Absent: while rounds help. */
  precopyRounds: z.number().int().min(0).max(50).optional(),
  /** Post-copy waits until the link can send the rest within this time, while rounds still approach it, ms. */
  postcopyWithinMs: z.number().int().min(1).max(3_600_000).optional(),
  /** Post-copy also as soon as it costs less than further rounds, in time and lost work. */
  postcopyIfCheaper: z.boolean().optional(),
  /** Stalled rounds after the last measure that end the migration. Absent: until the time is over. */
  giveUpRounds: z.number().int().min(1).max(20).optional(),
  /** Requires a downtime and a deadline or window, and refuses if they cannot be kept. */
  mustHaveLimits: z.boolean().default(false),
});
export type SteeringStrategy = z.infer<typeof steeringStrategy>;

export const STRATEGY_NAMES = [
  'gentle',
  'standard',
  'must-finish',
  'no-postcopy',
  'budget',
] as const;
export type StrategyName = (typeof STRATEGY_NAMES)[number];

const LADDER = [0.25, 0.5, 0.75, 1];

export const STRATEGIES: Readonly<Record<StrategyName, SteeringStrategy>> = {
  /** Never touches the guest, and gives up early. */
  gentle: steeringStrategy.parse({ name: 'gentle', giveUpRounds: 3 }),
  /** A longer downtime up to the budget, then hybrid. */
  standard: steeringStrategy.parse({
    name: 'standard',
    maxDowntimeMs: 500,
    measures: ['downtime', 'postcopy'],
    downtimeShares: LADDER,
    postcopyWithinMs: 60_000,
    giveUpRounds: 5,
  }),
  /** Post-copy as soon as it is cheaper or pre-copy stalls; without post-copy, the whole budget and throttling. */
  'must-finish': steeringStrategy.parse({
    name: 'must-finish',
    maxDowntimeMs: 1000,
    measures: ['postcopy', 'downtime', 'throttle'],
    throttlePercents: [30, 60, 80, 99],
    postcopyIfCheaper: true,
  }),
  /** Everything possible without post-copy. */
  'no-postcopy': steeringStrategy.parse({
    name: 'no-postcopy',
    maxDowntimeMs: 500,
    measures: ['downtime', 'throttle'],
    downtimeShares: LADDER,
    throttlePercents: [20, 40, 60, 80],
    giveUpRounds: 8,
  }),
  /** Best effort within a requested downtime and deadline. */
  budget: steeringStrategy.parse({
    name: 'budget',
    measures: ['downtime', 'throttle', 'postcopy'],
    downtimeShares: LADDER,
    throttlePercents: [20, 40],
    mustHaveLimits: true,
  }),
};

/** A built-in strategy, or the site's own. */
export const steering = z.union([z.enum(STRATEGY_NAMES), steeringStrategy]);
export type Steering = z.infer<typeof steering>;

export function strategyNamed(asked: Steering): SteeringStrategy {
  return typeof asked === 'string' ? STRATEGIES[asked] : asked;
}

export function modeOf({ measures }: Pick<SteeringStrategy, 'measures'>): 'precopy' | 'hybrid' {
  return measures.includes('postcopy') ? 'hybrid' : 'precopy';
}

const steeringRule = z.enum([
  /** Post-copy from the start was requested. */
  'at-once',
  /** The permitted rounds of pre-copy are over. */
  'rounds',
  /** The guest dirties memory about as fast as the link sends, or faster. */
  'outpaced',
  'stalled',
  /** Further rounds would cost more than post-copy. */
  'cheaper',
  /** The rest would exceed the remaining time. */
  'time-left',
  /** A throttled guest no longer needs it. */
  'quiet',
  'exhausted',
]);
export type SteeringRule = z.infer<typeof steeringRule>;

const steeringInputs = z.object({
  round: z.number().int().nonnegative(),
  remainingBytes: bytes,
  /** bytes/s of the link, and of dirtied memory. */
  rate: bytes,
  dirtyRate: bytes,
  /**
   * bytes/s written in a window longer than the longest downtime, from sampled pages; present if it exceeds the link
   * when the second round begins.
   */
  writeRate: bytes.optional(),
  expectedDowntimeMs: ms,
  stalledRounds: z.number().int().nonnegative(),
  /** ms until the permitted time is over. */
  leftMs: ms,
});
export type SteeringInputs = z.infer<typeof steeringInputs>;

/** Changed value: a downtime in ms, or a throttle in percent. */
const steeringChange = z.object({
  of: z.enum(['downtimeMs', 'throttlePercent']),
  from: z.number().nonnegative(),
  to: z.number().nonnegative(),
});
export type SteeringChange = z.infer<typeof steeringChange>;

export const steeringRecord = z.object({
  rule: steeringRule.optional(),
  inputs: steeringInputs.optional(),
  change: steeringChange.optional(),
  /** When it gives up: the cheapest ways to succeed. */
  hint: shortText.optional(),
});
export type SteeringRecord = z.infer<typeof steeringRecord>;

/** A pass over dirty memory, at its end. */
export const roundReport = z.object({
  round: z.number().int(),
  atMs: ms,
  transferredBytes: bytes,
  remainingBytes: bytes,
  rate: bytes,
  dirtyRate: bytes,
  throttlePercent: z.number().min(0).max(100).optional(),
});
