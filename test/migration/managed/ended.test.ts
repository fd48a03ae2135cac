import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManagedEvent } from '../../../src/migration/managed/events.ts';
import { initialManaged, managedTransition } from '../../../src/migration/managed/lifecycle.ts';
import { managedRunsAt, type ManagedState } from '../../../src/migration/managed/state.ts';
import { planned } from './samples.ts';

function after(...events: readonly ManagedEvent[]): ManagedState {
  let { state } = initialManaged(planned());
  for (const event of events) state = managedTransition(state, event).state;
  return state;
}

const ORDERED = [
  { type: 'did', step: 'inspect', facts: {} },
  { type: 'did', step: 'check', facts: {} },
  { type: 'ordered' },
  { type: 'accepted' },
] as const satisfies readonly ManagedEvent[];
const cancelled: ManagedEvent = { type: 'saw', task: { state: 'cancelled' } };
const ended: ManagedEvent = {
  type: 'found',
  where: { at: 'source', busy: false, ended: 'shut-down' },
};

test('a guest that ended at its source during the move fails its move by name, and runs nowhere', () => {
  const state = after(...ORDERED, cancelled, ended, ended);
  assert.deepEqual(state.doing, { kind: 'end', outcome: 'failed' });
  assert.equal(state.because?.code, 'GODWIT_GUEST_ENDED');
  assert.match(state.because.message, /^web1 shut itself down/);
  assert.equal(managedRunsAt(state), 'nowhere');
});

test('one report of the end is not enough: inventories lag behind', () => {
  assert.deepEqual(after(...ORDERED, cancelled, ended).doing, { kind: 'do', step: 'verify' });
});
