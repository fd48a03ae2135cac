import type { DestinationEvent } from './destination/destination-events.ts';
import type { SourceState } from './source/source-state.ts';

/**
 * True while the other host may still ask about this migration. The record must then be kept, because a host without
 * one cannot report what it did.
 */
export function sourceMayBeAsked(state: SourceState | undefined): boolean {
  if (state === undefined) return false;
  const { doing, closedByProof, leftovers } = state;
  if (doing.kind !== 'end') return true;
  switch (doing.outcome) {
    case 'held':
    case 'lost':
      return true;
    case 'done':
    case 'rehearsed':
    case 'failed':
    case 'cancelled':
      // A destination that did not refuse, or was not told of the end, asks when it returns.
      return closedByProof || leftovers.length > 0;
  }
}

/**
 * A destination's record is needed if it settled or gave up by itself, since its source may not know that. A source
 * depends on nothing at a destination that was never armed.
 */
export function destinationMayBeAsked(events: readonly DestinationEvent[]): boolean {
  const end = events.findLast(({ type }) => type === 'finished' || type === 'released');
  if (end?.type === 'finished') return end.told !== true;
  if (!events.some(({ type }) => type === 'armed')) return false;
  return end?.type !== 'released' || end.told !== true;
}
