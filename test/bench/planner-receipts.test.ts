import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { rankCorrelation, type Receipt } from '../../bench/planner-receipts.ts';

const pairs = (...all: [number, number][]): Receipt[] =>
  all.map(([expected, realised]) => ({ expected, realised }));

test('the same order has the rank correlation 1, the opposite one -1, whatever the distances', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer(), { minLength: 2, maxLength: 30 }), (values) => {
      const up = pairs(...values.map((each): [number, number] => [each, Math.cbrt(each)]));
      const down = pairs(...values.map((each): [number, number] => [each, -each]));
      assert.ok(Math.abs(rankCorrelation(up) - 1) < 1e-9);
      assert.ok(Math.abs(rankCorrelation(down) + 1) < 1e-9);
    }),
  );
});

test('ties share the mean of their ranks', () => {
  // By hand: ranks 0.5 0.5 2 3 and 0 1 2 3.
  const value = rankCorrelation(pairs([1, 1], [1, 2], [2, 3], [3, 4]));
  assert.ok(Math.abs(value - 4.5 / Math.sqrt(4.5 * 5)) < 1e-12, String(value));
});

test('where all are alike there is no order', () => {
  assert.equal(rankCorrelation(pairs([1, 1], [1, 2])), 0);
  assert.equal(rankCorrelation([]), 0);
});
