import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { replayManaged } from '../../../src/migration/managed/journal.ts';
import { initialManaged, managedTransition } from '../../../src/migration/managed/lifecycle.ts';
import { anyEvent, planned } from './samples.ts';

test('the state read from a journal is the state that its mover had', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 30 }), (events) => {
      let { state } = initialManaged(planned());
      for (const event of events) state = managedTransition(state, event).state;
      assert.deepEqual(replayManaged([planned(), ...events]), state);
    }),
  );
});

test('a journal that does not begin with its plan gives no state', () => {
  assert.equal(replayManaged([]), undefined);
  assert.equal(replayManaged([{ type: 'accepted' }]), undefined);
});
