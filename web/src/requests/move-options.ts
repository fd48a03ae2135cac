/** Options of moving one guest, side by side. Pure. */
import type { Form } from './ask.ts';
import type { PlanAnswer, PlanOption } from '../../../src/protocol/public/plan.ts';

export interface MoveOption extends PlanOption {
  /** It is what was asked for, or what the mode that was chosen gives. */
  readonly isAsked: boolean;
}

const MODES = ['precopy', 'hybrid', 'postcopy'] as const;

/** One option for each mode and path: the one asked for, or the best of them; by mode, the native path first. */
export function moveOptionsOf({
  prediction,
  others = [],
}: Pick<PlanAnswer, 'prediction' | 'others'>): MoveOption[] {
  const found = new Map<string, MoveOption>();
  const asked = prediction === undefined ? [] : [{ ...prediction, isAsked: true }];
  for (const option of [...asked, ...others.map((each) => ({ ...each, isAsked: false }))]) {
    const key = `${option.mode} ${option.path}`;
    if (!found.has(key)) found.set(key, option);
  }
  return [...found.values()].toSorted(
    (one, other) =>
      MODES.indexOf(one.mode) - MODES.indexOf(other.mode) || one.path.localeCompare(other.path),
  );
}

/** The option that a request of this mode and path would take. Pure. */
export function chosenOption(
  options: readonly MoveOption[],
  { mode, path }: Pick<Form, 'mode' | 'path'>,
): MoveOption | undefined {
  return options.find(
    (each) => each.mode === (mode || 'precopy') && each.path === (path || 'native'),
  );
}
