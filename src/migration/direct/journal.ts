import { z } from 'zod';
import {
  destinationAfter,
  destinationEvent,
  initialDestination,
  type DestinationEvent,
  type DestinationState,
} from './destination/destination.ts';
import {
  initialSource,
  sourceEvent,
  type SourceEvent,
  type SourceState,
} from './source/source-state.ts';
import { transition } from './source/transition.ts';

/**
 * Journal records in order (their format on disk: host/journal/journal-lines.ts). The state and the report are folds
 * over them. `at`: wall clock, ms since 1970; `mono`: monotonic ms within one mover's life.
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
