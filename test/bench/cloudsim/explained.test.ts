import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explained } from '../../../bench/cloudsim/explained.ts';

test('of two series each explains the square of their correlation', () => {
  const shares = explained([
    [1, 2, 3, 4],
    [2, 1, 4, 3],
  ]);
  assert.ok(shares !== undefined);
  for (const share of shares) assert.ok(Math.abs(share - 0.36) < 1e-12);
});

test('nothing is explained of one series, of too few samples or of a series that is always 0', () => {
  assert.equal(explained([[1, 2, 3]]), undefined);
  assert.equal(
    explained([
      [1, 2],
      [2, 1],
      [0, 1],
    ]),
    undefined,
  );
  assert.equal(
    explained([
      [1, 2, 3],
      [0, 0, 0],
    ]),
    undefined,
  );
});
