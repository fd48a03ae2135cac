import { z } from 'zod';
import {
  destinationAfter,
  destinationEvent,
  initialDestination,
  type DestinationEvent,
  type DestinationState,
} from './destination.ts';
import { initialSource, sourceEvent, type SourceEvent, type SourceState } from './source-state.ts';
import { transition } from './transition.ts';

/**
 * The journal's records: what happened, when, in order (host/journal/journal-lines.ts is how they lie in the file). The state is
 * their fold, and so is the report. `at` is wall clock (ms since 1970), `mono` monotonic ms within one mover's life.
 */
const head = {
  v: z.literal(1),
  seq: z.number().int().nonnegative(),
  at: z.number(),
  mono: z.number(),
};
export const sourceRecord = z.object({ ...head, event: sourceEvent });
export const destinationRecord = z.object({ ...head, event: destinationEvent });
export type SourceRecord = z.infer<typeof sourceRecord>;
export type DestinationRecord = z.infer<typeof destinationRecord>;

/** The source's state after these records; undefined before the first. */
export function replaySource(events: readonly SourceEvent[]): SourceState | undefined {
  let state: SourceState | undefined;
  for (const event of events) {
    if (state === undefined) {
      if (event.type !== 'planned') return undefined;
      state = initialSource(event).state;
    } else {
      state = transition(state, event).state;
    }
  }
  return state;
}

/** The destination's state after these records; undefined before the first. */
export function replayDestination(
  events: readonly DestinationEvent[],
): DestinationState | undefined {
  let state: DestinationState | undefined;
  for (const event of events) {
    if (state === undefined) {
      if (event.type !== 'admitted') return undefined;
      state = initialDestination(event);
    } else {
      state = destinationAfter(state, event);
    }
  }
  return state;
}
