import type { EndPhase, Phase } from '../../protocol/public/migration.ts';

/** Common engine of the lifecycles: walks a table of steps, and undoes the begun ones after a failure. Pure. */

/** Attempts at work that may fail temporarily, including the first. */
export const MAX_ATTEMPTS = 3;

export interface Row {
  readonly phase: Phase;
  readonly does: string;
  /** `handler`: ends when its handler returns; `event`: ends with an event. */
  readonly endsBy: 'handler' | 'event';
  readonly undo: string | undefined;
  readonly noUndo?: string;
}

export type UndoneIn<Table extends Readonly<Record<string, Pick<Row, 'undo'>>>> = {
  [Name in keyof Table]: Table[Name]['undo'] extends string ? Name : never;
}[keyof Table];

export type Doing<Step, Undone> =
  | { readonly kind: 'do'; readonly step: Step }
  | { readonly kind: 'undo'; readonly step: Undone }
  | { readonly kind: 'end'; readonly outcome: EndPhase };

/** Orders to a mover; a mover that takes over may repeat them. */
export type EngineEffect<Step, Undone> =
  | { readonly type: 'do'; readonly step: Step }
  /** Undoes a step, and stops the current one. */
  | { readonly type: 'undo'; readonly step: Undone }
  | { readonly type: 'end'; readonly outcome: EndPhase };

export interface Order<Step, Undone> {
  readonly index: (step: Step) => number;
  readonly next: (step: Step) => Step | undefined;
  readonly undoAtOrBefore: (step: Step) => Undone | undefined;
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
