import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guestSnapshot, MAX_PARTS } from '../../../src/migration/guest-changes/snapshot.ts';

test('a snapshot of more parts than are compared is refused', () => {
  const of = (length: number) => ({
    parts: Array.from({ length }, (_, at) => ({ kind: 'device', name: `d${at}`, value: 'x' })),
  });
  assert.ok(guestSnapshot.safeParse(of(MAX_PARTS)).success);
  assert.ok(!guestSnapshot.safeParse(of(MAX_PARTS + 1)).success);
});

test('a kind of a newer build is read', () => {
  const parts = [{ kind: 'newer', name: 'x', value: '' }];
  assert.deepEqual(guestSnapshot.parse({ parts }), { parts });
});
