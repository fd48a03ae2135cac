import type { EstimateOptions } from './estimate.ts';
import type { Budget } from './inventory.ts';

/** Values from 1 (only unacceptable states) to 5 (every gain worth its move). */
export type Level = 1 | 2 | 3 | 4 | 5;

export interface BalanceOptions {
  readonly level: Level;
  readonly budget?: Budget;
  /** Includes moves of the last hour (`PlannerGuest.left`). */
  readonly perHour?: Budget;
  /** A moved guest stays for this time, s. */
  readonly residenceSeconds: number;
  readonly horizonSeconds: number;
  readonly estimate?: EstimateOptions;
  /** Pairs examined per plan for a swap, if no host has room. */
  readonly swapPairs: number;
}

export const BALANCE: BalanceOptions = {
  level: 3,
  perHour: { moves: 60 },
  residenceSeconds: 4 * 3600,
  horizonSeconds: 3600,
  swapPairs: 20_000,
  // Choices rest on long-term demand, because the present one may end soon.
  estimate: { newest: 0, swing: 0.08, swingWeight: 4, samples: 30 },
};

/** When a host is overloaded, the required gain of a move, and the imbalance above which hosts are evened out. */
export interface Care {
  /** Present demand as a part of the capacity. */
  readonly over: number;
  /** Long-term demand in standard deviations; absent: not a reason by itself. */
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
