import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isWishEnd,
  newWish,
  wish,
  wishAsk,
  WISH_PHASES,
} from '../../../src/protocol/controller/wish.ts';

test('a new wish is one that the store takes, and it works', () => {
  const ask = wishAsk.parse({ kind: 'drain', hosts: ['a'] });
  const made = newWish('w-00000001', ask, { nowMs: 5, by: 'eva' });
  assert.deepEqual(wish.parse(JSON.parse(JSON.stringify(made))), made);
  assert.equal(made.phase, 'working');
});

test('two phases are no ends', () => {
  assert.deepEqual(
    WISH_PHASES.filter((each) => !isWishEnd(each)),
    ['working', 'cancelling'],
  );
});

test('an ask is bounded', () => {
  assert.ok(!wishAsk.safeParse({ kind: 'drain', hosts: ['a'], maxParallel: 0 }).success);
  assert.ok(!wishAsk.safeParse({ kind: 'drain', hosts: ['../a'] }).success);
  assert.ok(!wishAsk.safeParse({ kind: 'forget', hosts: ['a'] }).success);
});
