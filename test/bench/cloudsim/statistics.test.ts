import assert from 'node:assert/strict';
import { test } from 'node:test';
import { iqr, lineThrough, mad } from '../../../bench/cloudsim/statistics.ts';

test('the line goes through points that lie on one, the newest being the last', () => {
  const line = lineThrough(Float64Array.from([9, 7, 5, 3]));
  assert.ok(Math.abs(line.slope - 2) < 1e-12);
  assert.ok(Math.abs(line.start - 1) < 1e-12);
});

test('quartiles and medians are those of the sorted values', () => {
  assert.equal(iqr(Float64Array.from([5, 1, 3, 2, 4, 7, 6])), 4);
  assert.equal(mad(Float64Array.from([1, 1, 2, 2, 4, 6, 9])), 1);
  assert.equal(mad(Float64Array.from([1, 2, 3, 4])), 1);
});
