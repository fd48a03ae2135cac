import type { PlannerGuest } from './inventory.ts';

export interface Estimate {
  readonly mean: number;
  readonly variance: number;
  readonly level?: number;
  /** Part of the mean that only its daily pattern adds. */
  readonly byDays?: number;
}

export interface EstimateOptions {
  /** Weight of the newest sample in the expectation; the rest is the mean. */
  readonly newest: number;
  /** Assumed variation of a little-known guest, as a share of its size. */
  readonly swing: number;
  /** Weight of the assumption, in samples. */
  readonly swingWeight: number;
  readonly samples: number;
  /** Earlier days' higher demand at this time (`PlannerGuest.soon`) counts. */
  readonly byDays?: boolean;
}

export const ESTIMATE: EstimateOptions = { newest: 0.6, swing: 0.08, swingWeight: 4, samples: 24 };

/**
 * A guest's next demand, from plausible samples: finite, not negative, not above its size except for rounding.
 * Undefined if the newest is implausible or missing: nothing may rely on it.
 */
export function estimate(
  guest: Pick<PlannerGuest, 'cpu' | 'demand' | 'soon'>,
  options: EstimateOptions = ESTIMATE,
): Estimate | undefined {
  const { demand, cpu } = guest;
  const now = demand[0];
  if (now === undefined || !sensible(now, cpu)) return undefined;
  let count = 0;
  let sum = 0;
  const most = Math.min(demand.length, options.samples);
  for (let age = 0; age < most; age += 1) {
    const value = demand[age] ?? Number.NaN;
    if (!sensible(value, cpu)) continue;
    count += 1;
    sum += value;
  }
  const level = sum / count;
  const goesOn = options.newest * now + (1 - options.newest) * level;
  const soon = options.byDays === true ? (guest.soon ?? 0) : 0;
  const mean = sensible(soon, cpu) ? Math.max(goesOn, soon) : goesOn;
  const assumed = (options.swing * cpu) ** 2 * options.swingWeight;
  return {
    mean,
    level,
    byDays: mean - goesOn,
    variance: (assumed + misses(demand, cpu, level, options)) / (count - 1 + options.swingWeight),
  };
}

function misses(
  demand: readonly number[],
  cpu: number,
  level: number,
  { newest, samples }: EstimateOptions,
): number {
  let squares = 0;
  for (let age = 0; age + 1 < Math.min(demand.length, samples); age += 1) {
    const value = demand[age] ?? Number.NaN;
    const before = demand[age + 1] ?? Number.NaN;
    if (!sensible(value, cpu) || !sensible(before, cpu)) continue;
    const miss = value - (newest * before + (1 - newest) * level);
    squares += miss * miss;
  }
  return squares;
}

/** A sample may exceed the guest's size by rounding. */
const ROUNDING = 1.01;

const sensible = (value: number, cpu: number): boolean =>
  Number.isFinite(value) && value >= 0 && value <= cpu * ROUNDING;
