import type { MoverRequest } from '../protocol/mover/request.ts';

interface Ordered {
  readonly request: Pick<MoverRequest, 'ordinal' | 'createdAt'>;
}

/**
 * The oldest first, by the order in which the store took them: a clock may go back. Migrations of earlier builds have no
 * ordinal, and come first in the order of their times. Pure.
 */
export function oldestFirst<M extends Ordered>(migrations: Iterable<M>): M[] {
  return [...migrations].toSorted(
    ({ request: left }, { request: right }) =>
      (left.ordinal ?? 0) - (right.ordinal ?? 0) || (left.createdAt < right.createdAt ? -1 : 1),
  );
}

export function nextOrdinal(sorted: readonly Ordered[]): number {
  return (sorted.at(-1)?.request.ordinal ?? 0) + 1;
}
