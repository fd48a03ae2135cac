import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { callOf, isOpen, nextMovePhase, SEEN } from '../../../src/controller/requests/moves.ts';
import { MOVE_PHASES } from '../../../src/protocol/controller/fleet-request.ts';

const phases = fc.constantFrom(...MOVE_PHASES);
const answers = fc.array(fc.constantFrom(...SEEN), { maxLength: 30 });

test('a move that has ended never changes, whatever is answered late or twice', () => {
  fc.assert(
    fc.property(phases, answers, (first, seen) => {
      let phase = first;
      for (const each of seen) {
        const next = nextMovePhase(phase, each);
        if (!isOpen(phase)) assert.equal(next, phase);
        phase = next;
      }
    }),
  );
});

test('a silent host and a refused epoch change nothing', () => {
  for (const phase of MOVE_PHASES) {
    assert.equal(nextMovePhase(phase, 'silent'), phase);
    assert.equal(nextMovePhase(phase, 'stale'), phase);
  }
});

test('a move is dropped only if it is being withdrawn and its agent has no record of it', () => {
  for (const phase of MOVE_PHASES) {
    for (const seen of SEEN) {
      if (nextMovePhase(phase, seen) !== 'dropped' || phase === 'dropped') continue;
      assert.deepEqual([phase, seen], ['withdrawing', 'unknown']);
    }
  }
});

test('no move begins once a cancel was requested, and a withdrawal needs a higher epoch', () => {
  for (const phase of MOVE_PHASES) {
    for (const cancel of ['let-run', 'roll-back'] as const) {
      for (const epoch of [5, 6]) {
        const call = callOf({ phase, askedEpoch: 5 }, epoch, cancel);
        assert.notEqual(call, 'put');
        if (epoch === 5 && phase !== 'running') assert.notEqual(call, 'cancel');
      }
    }
  }
  assert.equal(callOf({ phase: 'chosen', askedEpoch: 5 }, 5, 'no'), 'put');
  assert.equal(callOf({ phase: 'chosen', askedEpoch: 5 }, 6, 'no'), 'store-epoch');
});
