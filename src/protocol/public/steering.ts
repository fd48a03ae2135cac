import { z } from 'zod';
import { bytes, ms, shortText } from '../names.ts';

/** How a migration is steered while memory moves: strategies as data, and what is kept of each decision. Pure. */

/** What a strategy may do about pre-copy that leads nowhere, besides giving up. */
export const STEERING_MEASURES = ['downtime', 'throttle', 'postcopy'] as const;
const steeringMeasure = z.enum(STEERING_MEASURES);
export type SteeringMeasure = z.infer<typeof steeringMeasure>;

/** A strategy: which measures, in which order, and how patiently. An unknown field is refused. */
export const steeringStrategy = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/, 'a name of a-z, 0-9 and - that begins with a letter'),
  /** The longest downtime where none is asked for, ms. */
  maxDowntimeMs: z.number().int().min(1).max(60_000).default(100),
  /** What is done about it, one after the other; empty: nothing. */
  measures: z.array(steeringMeasure).max(STEERING_MEASURES.length).default([]),
  /** Rising shares of the longest downtime: the first from the start, the others by the measure `downtime`. */
  downtimeShares: z.array(z.number().min(0.01).max(1)).min(1).max(16).default([1]),
  /** How much of the guest's processor time the measure `throttle` may take, rising, percent. */
  throttlePercents: z.array(z.number().int().min(2).max(99)).max(16).default([]),
  /** So many rounds in which what remains sets no new minimum by 5 % lead to the next measure. */
  stalledRounds: z.number().int().min(1).max(20).default(1),
  /** Post-copy after so many rounds whatever they bring; 0: from the start. Absent: as long as rounds help. */
  precopyRounds: z.number().int().min(0).max(50).optional(),
  /** Post-copy waits for a remainder that the link takes within this, as long as rounds still bring it nearer, ms. */
  postcopyWithinMs: z.number().int().min(1).max(3_600_000).optional(),
  /** Post-copy also as soon as it costs less than further rounds: time, and the guest's work that is lost. */
  postcopyIfCheaper: z.boolean().optional(),
  /** After the last measure, so many stalled rounds end the migration. Absent: it goes on until its time is over. */
  giveUpRounds: z.number().int().min(1).max(20).optional(),
  /** A longest downtime, and a deadline or a window, must be asked for, and are refused where they cannot be kept to. */
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

/** The strategies that have a name. */
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
  /** Post-copy as soon as it costs less than going on, or pre-copy leads nowhere; where there is none, the whole budget and the guest's speed. */
  'must-finish': steeringStrategy.parse({
    name: 'must-finish',
    maxDowntimeMs: 1000,
    measures: ['postcopy', 'downtime', 'throttle'],
    throttlePercents: [30, 60, 80, 99],
    postcopyIfCheaper: true,
  }),
  /** What pre-copy alone can do. */
  'no-postcopy': steeringStrategy.parse({
    name: 'no-postcopy',
    maxDowntimeMs: 500,
    measures: ['downtime', 'throttle'],
    downtimeShares: LADDER,
    throttlePercents: [20, 40, 60, 80],
    giveUpRounds: 8,
  }),
  /** Best effort inside a downtime and a deadline that were asked for. */
  budget: steeringStrategy.parse({
    name: 'budget',
    measures: ['downtime', 'throttle', 'postcopy'],
    downtimeShares: LADDER,
    throttlePercents: [20, 40],
    mustHaveLimits: true,
  }),
};

/** In a request: one that has a name, or one of the site's own. */
export const steering = z.union([z.enum(STRATEGY_NAMES), steeringStrategy]);
export type Steering = z.infer<typeof steering>;

export function strategyNamed(asked: Steering): SteeringStrategy {
  return typeof asked === 'string' ? STRATEGIES[asked] : asked;
}

/** The mode that a strategy needs. */
export function modeOf({ measures }: Pick<SteeringStrategy, 'measures'>): 'precopy' | 'hybrid' {
  return measures.includes('postcopy') ? 'hybrid' : 'precopy';
}

/** Why a decision was taken. */
const steeringRule = z.enum([
  /** Post-copy from the start was asked for. */
  'at-once',
  /** The rounds that pre-copy was given are over. */
  'rounds',
  /** The guest dirties nearly what the link takes, or more. */
  'outpaced',
  /** What remains set no new minimum. */
  'stalled',
  /** Further rounds would cost more than post-copy. */
  'cheaper',
  /** The rest would not be sent in what is left of the time. */
  'time-left',
  /** A guest that is slowed down would do without. */
  'quiet',
  /** Nothing is left that the strategy may do. */
  'exhausted',
]);
export type SteeringRule = z.infer<typeof steeringRule>;

/** The numbers that a decision was taken on. */
const steeringInputs = z.object({
  round: z.number().int().nonnegative(),
  remainingBytes: bytes,
  /** bytes/s of the link, and of memory that the guest dirties. */
  rate: bytes,
  dirtyRate: bytes,
  /**
   * bytes/s that a look at its pages saw it write in a window longer than the longest downtime; present where that
   * outpaces the link, as the second round begins.
   */
  writeRate: bytes.optional(),
  /** What remained at the start of the round, by the link, ms. */
  expectedDowntimeMs: ms,
  /** Rounds without a new minimum of what remains. */
  stalledRounds: z.number().int().nonnegative(),
  /** Until the time allowed is over, ms. */
  leftMs: ms,
});
export type SteeringInputs = z.infer<typeof steeringInputs>;

/** What a decision changed: a downtime in ms, or a throttle in percent. */
const steeringChange = z.object({
  of: z.enum(['downtimeMs', 'throttlePercent']),
  from: z.number().nonnegative(),
  to: z.number().nonnegative(),
});
export type SteeringChange = z.infer<typeof steeringChange>;

/** A decision of the steering, as a report has it. */
export const steeringRecord = z.object({
  rule: steeringRule.optional(),
  inputs: steeringInputs.optional(),
  change: steeringChange.optional(),
  /** Of giving up: the cheapest ways to get it through. */
  hint: shortText.optional(),
});
export type SteeringRecord = z.infer<typeof steeringRecord>;

/** One pass over dirty memory, as it stood when it ended. */
export const roundReport = z.object({
  round: z.number().int(),
  atMs: ms,
  transferredBytes: bytes,
  remainingBytes: bytes,
  rate: bytes,
  dirtyRate: bytes,
  throttlePercent: z.number().min(0).max(100).optional(),
});
