import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { shortfall } from '../../src/planner/shortfall.ts';

test('the shortfall without variation is the demand above the capacity', () => {
  assert.equal(shortfall(12, 0, 8), 4);
  assert.equal(shortfall(7, 0, 8), 0);
});

test('the shortfall at the capacity is the deviation divided by the square root of two pi', () => {
  assert.ok(Math.abs(shortfall(8, 4, 8) - 2 / Math.sqrt(2 * Math.PI)) < 1e-6);
});

test('more capacity never causes more shortfall, and more demand never less', () => {
  const positive = fc.double({ min: 0, max: 100, noNaN: true });
  fc.assert(
    fc.property(positive, positive, positive, positive, (mean, variance, capacity, more) => {
      const now = shortfall(mean, variance, capacity);
      assert.ok(shortfall(mean, variance, capacity + more) <= now + 1e-4);
      assert.ok(shortfall(mean + more, variance, capacity) >= now - 1e-4);
    }),
  );
});
