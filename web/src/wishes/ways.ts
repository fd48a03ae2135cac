/** Ways of moving one guest, side by side. Pure. */
import type { PlanAnswer, PlannedWay } from '../../../src/protocol/public/plan.ts';

export interface Way extends PlannedWay {
  /** It is what was asked for, or what the mode that was chosen gives. */
  readonly isAsked: boolean;
}

const MODES = ['precopy', 'hybrid', 'postcopy'] as const;

/** One way for each mode and path: the one asked for, or the best of them; by mode, the native path first. */
export function waysOf({
  prediction,
  others = [],
}: Pick<PlanAnswer, 'prediction' | 'others'>): Way[] {
  const found = new Map<string, Way>();
  const asked = prediction === undefined ? [] : [{ ...prediction, isAsked: true }];
  for (const way of [...asked, ...others.map((each) => ({ ...each, isAsked: false }))]) {
    const key = `${way.mode} ${way.path}`;
    if (!found.has(key)) found.set(key, way);
  }
  return [...found.values()].toSorted(
    (one, other) =>
      MODES.indexOf(one.mode) - MODES.indexOf(other.mode) || one.path.localeCompare(other.path),
  );
}
