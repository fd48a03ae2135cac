import assert from 'node:assert/strict';
import { test } from 'node:test';
import { paceOf } from '../../src/mover/process-priority.ts';

test('both movers have high priority while memory moves and the guest is paused', () => {
  for (const side of ['source', 'destination'] as const) {
    assert.equal(paceOf(side, 'memory'), 'soon');
    assert.equal(paceOf(side, 'switchover'), 'soon');
  }
});

test('in the handover the source still has high priority, while the destination runs the guest already', () => {
  assert.equal(paceOf('source', 'handover'), 'soon');
  assert.equal(paceOf('destination', 'handover'), 'later');
});

test('the cleanup yields to the guest, and checks before the move have normal priority', () => {
  assert.equal(paceOf('source', 'cleanup'), 'later');
  assert.equal(paceOf('source', 'draining'), 'later');
  assert.equal(paceOf('source', 'checking'), 'usual');
});
