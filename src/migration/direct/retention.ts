import type { DestinationEvent } from './destination-events.ts';
import type { SourceState } from './source-state.ts';

/**
 * Whether the other host of a migration may still ask about it. What may be asked for is never forgotten, however old it
 * is: a host that says that it does not know a migration cannot say what it did in it.
 */
export function sourceMayBeAsked(state: SourceState | undefined): boolean {
  // Nothing of it ever began.
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
      // A destination that was closed without its refusal, or did not hear of the end, asks when it comes back.
      return closedByProof || leftovers.length > 0;
  }
}

/**
 * A destination is asked as long as its source may not have heard how it ended: it settled or gave up by itself. One that
 * was never armed has nothing that a source rests on.
 */
export function destinationMayBeAsked(events: readonly DestinationEvent[]): boolean {
  const end = events.findLast(({ type }) => type === 'finished' || type === 'released');
  if (end?.type === 'finished') return end.told !== true;
  if (!events.some(({ type }) => type === 'armed')) return false;
  return end?.type !== 'released' || end.told !== true;
}
