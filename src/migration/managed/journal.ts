import type { ManagedEvent } from './events.ts';
import { initialManaged, managedTransition } from './lifecycle.ts';
import type { ManagedState } from './state.ts';

/** Undefined before the first event, or without a plan. */
export function replayManaged(events: readonly ManagedEvent[]): ManagedState | undefined {
  let state: ManagedState | undefined;
  for (const event of events) state = managedAfter(state, event);
  return state;
}

export function managedAfter(
  state: ManagedState | undefined,
  event: ManagedEvent,
): ManagedState | undefined {
  if (state !== undefined) return managedTransition(state, event).state;
  return event.type === 'planned' ? initialManaged(event).state : undefined;
}
