import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rehearsal } from '../../../src/protocol/public/rehearsal.ts';

test("a rehearsal's result includes at least the allowed downtime", () => {
  assert.deepEqual(rehearsal.parse({ maxDowntimeMs: 100 }), { maxDowntimeMs: 100 });
  assert.equal(rehearsal.safeParse({ switches: 'precopy' }).success, false);
});

test('a rehearsal reached the switch in one of two ways, and in no unknown one', () => {
  for (const switches of ['precopy', 'postcopy']) {
    assert.equal(rehearsal.safeParse({ maxDowntimeMs: 1, switches }).success, true);
  }
  assert.equal(rehearsal.safeParse({ maxDowntimeMs: 1, switches: 'hybrid' }).success, false);
});
