import type { EstimateOptions } from './estimate.ts';
import type { Budget } from './inventory.ts';

/** From 1 (only what can not stay as it is) to 5 (every gain that is worth its move). */
export type Level = 1 | 2 | 3 | 4 | 5;

export interface BalanceOptions {
  readonly level: Level;
  /** For one plan. */
  readonly budget?: Budget;
  /** Counted over what guests have left in the last hour (`PlannerGuest.left`). */
  readonly perHour?: Budget;
  /** A guest that has moved stays for so long, s. */
  readonly residenceSeconds: number;
  /** For how long a gain is counted, s. */
  readonly horizonSeconds: number;
  readonly estimate?: EstimateOptions;
  /** Pairs of guests that one plan looks at for a swap, where no host has room: it takes the best of these. */
  readonly swapPairs: number;
}

export const BALANCE: BalanceOptions = {
  level: 3,
  perHour: { moves: 60 },
  residenceSeconds: 4 * 3600,
  horizonSeconds: 3600,
  swapPairs: 20_000,
  // Who leaves and where to is a matter of what guests ask for in the long run: what they ask for now may be over soon.
  estimate: { newest: 0, swing: 0.08, swingWeight: 4, samples: 30 },
};

/** When a host has too much, what a move must bring for what it costs, and from what distance on hosts are evened out. */
export interface Care {
  /** Now, as a part of what it has. */
  readonly over: number;
  /** The demand in the long run, at so many standard deviations; absent where that alone is no reason. */
  readonly z?: number;
  readonly worth: number;
  readonly spread?: number;
}

export const CARE: Readonly<Record<Level, Care>> = {
  1: { over: 1.25, worth: 10 },
  2: { over: 1.1, worth: 3 },
  3: { over: 1, z: 0.5, worth: 1 },
  4: { over: 1, z: 0.75, worth: 1, spread: 0.4 },
  5: { over: 0.95, z: 1, worth: 0.5, spread: 0.25 },
};
