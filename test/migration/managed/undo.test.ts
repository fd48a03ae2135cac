import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManagedEvent } from '../../../src/migration/managed/events.ts';
import { initialManaged, managedTransition } from '../../../src/migration/managed/lifecycle.ts';
import { error, planned } from './samples.ts';

test("the possible remains of a manager's order are taken back if its driver can do it", () => {
  const doingAfter = (facts: object, ...rest: readonly ManagedEvent[]): string => {
    let { state } = initialManaged(planned());
    const checked: ManagedEvent[] = [
      { type: 'did', step: 'inspect', facts: {} },
      { type: 'did', step: 'check', facts },
    ];
    for (const event of [...checked, ...rest]) state = managedTransition(state, event).state;
    return state.doing.kind === 'end' ? `end ${state.doing.outcome}` : `undo ${state.doing.step}`;
  };
  const order = [{ type: 'ordered' }, { type: 'refused', error }] as const;
  assert.equal(doingAfter({ copies: [], takesBack: true }, ...order), 'undo prepare');
  // A journal of an earlier build says nothing of it, and its migration is over.
  assert.equal(doingAfter({ copies: [] }, ...order), 'end failed');
  // Nothing was ordered, and nothing was made.
  assert.equal(doingAfter({ copies: [], takesBack: true }, { type: 'cancel' }), 'end cancelled');
});
