import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measures } from '../../bench/check.ts';
import { judge } from '../../bench/contract.ts';

const pair = (checkMs: number, planMs: number, sampled: number) => ({
  checkMs,
  planMs,
  hereMs: 700,
  thereMs: 500,
  alone: 100,
  sampled,
});

test('each aim is held by the median of its pairs, and the worst is named beside it', () => {
  const met = measures([pair(900, 5000, 100), pair(1500, 6000, 99), pair(9000, 9000, 50)]);
  assert.deepEqual(
    met.map(({ value }) => value),
    [1500, 6000, 0.99, 700, 500, 9000, 9000, 0.5, 1],
  );
  assert.deepEqual(
    met.map((each) => judge(each).ok),
    [true, true, true, null, null, null, null, null, null],
  );
  const missed = measures([pair(2001, 8001, 98)]).map((each) => judge(each).ok);
  assert.deepEqual(missed.slice(0, 3), [false, false, false]);
});
