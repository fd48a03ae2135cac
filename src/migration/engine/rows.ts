import type { EndPhase, Phase } from '../../protocol/public/migration.ts';

/**
 * What every lifecycle has in common: it walks a table of steps from the first to the last, and where it cannot go on, it
 * walks back and undoes the steps that were begun, the last one first. Pure.
 */

/** Times that work is tried which may fail for a moment, the first one included. */
export const MAX_ATTEMPTS = 3;

/** One step of a lifecycle. */
export interface Row {
  readonly phase: Phase;
  readonly does: string;
  /** `handler`: over when its handler returns; `event`: over when an event says so. */
  readonly endsBy: 'handler' | 'event';
  readonly undo: string | undefined;
  /** Why there is nothing to undo, where `undo` is absent. */
  readonly noUndo?: string;
}

/** The steps of a table that have an undo; the compiler asks for its handler. */
export type UndoneIn<Table extends Readonly<Record<string, Pick<Row, 'undo'>>>> = {
  [Name in keyof Table]: Table[Name]['undo'] extends string ? Name : never;
}[keyof Table];

/** What is being done at the moment. */
export type Doing<Step, Undone> =
  | { readonly kind: 'do'; readonly step: Step }
  | { readonly kind: 'undo'; readonly step: Undone }
  | { readonly kind: 'end'; readonly outcome: EndPhase };

/** What a mover has to carry out of it; each may be repeated by the mover that takes over. */
export type EngineEffect<Step, Undone> =
  | { readonly type: 'do'; readonly step: Step }
  /** Also stops the step that is being done. */
  | { readonly type: 'undo'; readonly step: Undone }
  | { readonly type: 'end'; readonly outcome: EndPhase };

/** The order of a table's steps. */
export interface Order<Step, Undone> {
  readonly index: (step: Step) => number;
  /** The step after this one; undefined after the last. */
  readonly next: (step: Step) => Step | undefined;
  /** The nearest step at or before this one that has something to undo. */
  readonly undoAtOrBefore: (step: Step) => Undone | undefined;
  /** The next step to undo once this one is undone. */
  readonly undoBefore: (step: Step) => Undone | undefined;
}

export function orderOf<Step extends string, Undone extends Step>(
  names: readonly Step[],
  rows: Readonly<Record<Step, Row>>,
): Order<Step, Undone> {
  const index = (step: Step): number => names.indexOf(step);
  const hasUndo = (step: Step): step is Undone => rows[step].undo !== undefined;
  const undoAtOrBefore = (step: Step): Undone | undefined =>
    names.slice(0, index(step) + 1).findLast(hasUndo);
  return {
    index,
    next: (step) => names[index(step) + 1],
    undoAtOrBefore,
    undoBefore: (step) => {
      const before = names[index(step) - 1];
      return before === undefined ? undefined : undoAtOrBefore(before);
    },
  };
}
