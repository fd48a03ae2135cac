import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clearedList, leftover } from '../../../src/protocol/public/leftover.ts';

const one = { kind: 'tap', what: 'gw01234567n0', safe: true, why: 'no process holds it' } as const;

test('a leftover reports its kind, whether it is safe, and why', () => {
  assert.deepEqual(leftover.parse(one), one);
  assert.equal(leftover.safeParse({ ...one, why: undefined }).success, false);
  assert.equal(leftover.safeParse({ ...one, kind: 'cat' }).success, false);
});

test('a leftover that was not cleared reports the reason', () => {
  const answer = { cleared: [], left: [{ ...one, failed: 'it is held after all' }] };
  assert.deepEqual(clearedList.parse(answer), answer);
});
