import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rehearsal } from '../../../src/protocol/public/rehearsal.ts';

test('what a rehearsal found says at least what downtime was allowed', () => {
  assert.deepEqual(rehearsal.parse({ maxDowntimeMs: 100 }), { maxDowntimeMs: 100 });
  assert.equal(rehearsal.safeParse({ switches: 'precopy' }).success, false);
});

test('a rehearsal came to the switch in one of two ways, and to none that is unknown', () => {
  for (const switches of ['precopy', 'postcopy']) {
    assert.equal(rehearsal.safeParse({ maxDowntimeMs: 1, switches }).success, true);
  }
  assert.equal(rehearsal.safeParse({ maxDowntimeMs: 1, switches: 'hybrid' }).success, false);
});
