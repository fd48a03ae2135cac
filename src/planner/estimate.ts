import type { PlannerGuest } from './inventory.ts';

/** What a guest is expected to ask for: the mean, and the variance around it. */
export interface Estimate {
  readonly mean: number;
  readonly variance: number;
  /** The mean of its samples alone. */
  readonly level?: number;
  /** The part of the mean that it is expected to ask for by its days alone. */
  readonly byDays?: number;
}

export interface EstimateOptions {
  /** The part of the newest sample in what is expected next; the rest is the mean of the samples. */
  readonly newest: number;
  /** How far a guest of which little is known is expected to swing, as a share of its size. */
  readonly swing: number;
  /** For how many samples the assumed swing counts. */
  readonly swingWeight: number;
  /** Samples that are looked at. */
  readonly samples: number;
  /** Whether a guest that asks for more at this time of earlier days (`PlannerGuest.soon`) is expected to do so today. */
  readonly byDays?: boolean;
}

export const ESTIMATE: EstimateOptions = { newest: 0.6, swing: 0.08, swingWeight: 4, samples: 24 };

/**
 * What a guest asks for next, from the samples that make sense: finite, not negative, not above its size by more than
 * a rounding. Undefined where the newest does not, or there is none: nothing may rest on it.
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

/** The squares of what this method of expecting would have missed. */
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

/** A sample may lie above a guest's size by rounding. */
const ROUNDING = 1.01;

const sensible = (value: number, cpu: number): boolean =>
  Number.isFinite(value) && value >= 0 && value <= cpu * ROUNDING;
