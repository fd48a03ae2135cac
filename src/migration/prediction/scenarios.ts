import type { Range } from '../../protocol/public/prediction.ts';
import { LEVEL } from './parameters.ts';

/** Deviations from measurements, as a fixed set of scenarios. Pure. */

/** Factors on measured figures; 1 is the figure itself. */
export interface Scenario {
  readonly link: number;
  readonly dirty: number;
  readonly share: number;
  readonly processor: number;
  readonly fixed: number;
  /** Actual share of the allowed remainder at the switchover, 0 to 1. */
  readonly tail: number;
}

export interface Spreads {
  readonly link: number;
  readonly dirty: number;
  readonly share: number;
  readonly processor: number;
  readonly fixed: number;
}

export const NOMINAL: Scenario = {
  link: 1,
  dirty: 1,
  share: 1,
  processor: 1,
  fixed: 1,
  tail: 0.5,
};

/** More scenarios change the ends of a range by less than its last digit. */
const COUNT = 256;
/** Root of x^7 = x + 1: powers of its inverse spread points evenly over six dimensions (additive recurrence). */
const ROOT = 1.112_775_684_278_705_5;

/** The same spreads give the same scenarios, so a prediction only changes with its inputs. */
export function scenarios(spreads: Spreads): Scenario[] {
  const at = (index: number, dimension: number): number =>
    (0.5 + (index + 1) * ROOT ** -dimension) % 1;
  return Array.from({ length: COUNT }, (_, index) => ({
    link: factor(spreads.link, at(index, 1)),
    dirty: factor(spreads.dirty, at(index, 2)),
    share: factor(spreads.share, at(index, 3)),
    processor: factor(spreads.processor, at(index, 4)),
    fixed: factor(spreads.fixed, at(index, 5)),
    tail: at(index, 6),
  }));
}

/** Factor with about this spread; the logistic distribution approximates the normal one. */
function factor(spread: number, place: number): number {
  const within = Math.min(0.999, Math.max(0.001, place));
  const toNormal = Math.sqrt(3) / Math.PI;
  return Math.exp(spread * toNormal * Math.log(within / (1 - within)));
}

/** Range that leaves out (1 - LEVEL) / 2 at either end, and includes the middle. */
export function rangeOf(values: readonly number[], middle: number): Range {
  const sorted = values.toSorted((left, right) => left - right);
  const out = Math.floor((sorted.length * (1 - LEVEL)) / 2);
  return {
    low: Math.min(middle, sorted[out] ?? middle),
    middle,
    high: Math.max(middle, sorted.at(-1 - out) ?? middle),
  };
}
