import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { replayManaged } from '../../../src/migration/managed/journal.ts';
import { managedMayBeAsked, managedRunsAt } from '../../../src/migration/managed/state.ts';
import { anyEvent, planned } from './samples.ts';

test('the place of a guest is known only if no order can be under way, whatever was heard', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 40 }), (events) => {
      const state = replayManaged([planned(), ...events]);
      assert.ok(state !== undefined);
      const { doing, order } = state;
      const runsAt = managedRunsAt(state);
      if (doing.kind === 'undo') assert.equal(runsAt, 'source');
      if (doing.kind === 'do' && doing.step !== 'finish')
        assert.equal(runsAt, order === 'none' ? 'source' : 'unknown');
      if (doing.kind === 'end' && doing.outcome === 'held') assert.equal(runsAt, 'unknown');
    }),
  );
});

test('only a migration that continues, undoes or is held may still be asked about', () => {
  assert.equal(managedMayBeAsked(undefined), false);
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 40 }), (events) => {
      const state = replayManaged([planned(), ...events]);
      const isOver = state?.doing.kind === 'end' && state.doing.outcome !== 'held';
      assert.equal(managedMayBeAsked(state), !isOver);
    }),
  );
});
