import assert from 'node:assert/strict';
import { test } from 'node:test';
import { managedOrder, taskSight, whereabouts } from '../../../src/migration/managed/task-sight.ts';

test("a manager's report of a task is one of five states, and a long reason is cut", () => {
  const states = ['none', 'running', 'done', 'cancelled'];
  for (const state of states) assert.equal(taskSight.safeParse({ state }).success, true);
  const failed = taskSight.parse({ state: 'failed', reason: 'x'.repeat(10_000) });
  assert.equal(failed.state === 'failed' && failed.reason.length, 4096);
  for (const bad of [
    { state: 'paused' },
    { state: 'failed' },
    { state: 'running', percent: 101 },
  ]) {
    assert.equal(taskSight.safeParse(bad).success, false);
  }
});

test("the guest's location and the order have separate phrases", () => {
  assert.equal(whereabouts.safeParse({ at: 'source' }).success, true);
  assert.equal(whereabouts.safeParse({ at: 'both' }).success, false);
  const order = {
    id: 'm-00000001',
    guest: 'web1',
    from: 'a',
    to: 'b',
    mode: 'precopy',
    maxDowntimeMs: 1,
    streams: 1,
    compress: 'none',
  };
  assert.equal(managedOrder.safeParse(order).success, true);
  assert.equal(managedOrder.safeParse({ ...order, id: '1' }).success, false);
});
