import type { ManagedEvent } from './events.ts';
import { initialManaged, managedTransition } from './lifecycle.ts';
import type { ManagedState } from './lifecycle.ts';

/** The state after these events; undefined before the first. */
export function replayManaged(events: readonly ManagedEvent[]): ManagedState | undefined {
  let state: ManagedState | undefined;
  for (const event of events) {
    if (state !== undefined) state = managedTransition(state, event).state;
    else if (event.type === 'planned') state = initialManaged(event).state;
    else return undefined;
  }
  return state;
}
