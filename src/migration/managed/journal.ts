import type { ManagedEvent } from './events.ts';
import { initialManaged, managedTransition } from './lifecycle.ts';
import type { ManagedState } from './state.ts';

/** The state after these events; undefined before the first, and without a plan. */
export function replayManaged(events: readonly ManagedEvent[]): ManagedState | undefined {
  let state: ManagedState | undefined;
  for (const event of events) state = managedAfter(state, event);
  return state;
}

/** The state after one more event. */
export function managedAfter(
  state: ManagedState | undefined,
  event: ManagedEvent,
): ManagedState | undefined {
  if (state !== undefined) return managedTransition(state, event).state;
  return event.type === 'planned' ? initialManaged(event).state : undefined;
}
