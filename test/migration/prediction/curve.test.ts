import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { comparableRate, dirtiedWithin } from '../../../src/migration/prediction/curve.ts';
import { anyFacts } from './samples.ts';

describe("the working set's curve", () => {
  const curve = [
    { windowMs: 100, dirtyBytes: 1000 },
    { windowMs: 1000, dirtyBytes: 4000 },
    { windowMs: 3000, dirtyBytes: 5000 },
  ];

  test('the working set is zero for no time, and the measured value at each window', () => {
    assert.equal(dirtiedWithin(curve, 0, 1e6), 0);
    for (const { windowMs, dirtyBytes } of curve)
      assert.equal(dirtiedWithin(curve, windowMs, 1e6), dirtyBytes);
  });

  test('the working set is linear between two windows, and continues its last slope after them', () => {
    assert.equal(dirtiedWithin(curve, 50, 1e6), 500);
    assert.equal(dirtiedWithin(curve, 2000, 1e6), 4500);
    assert.equal(dirtiedWithin(curve, 5000, 1e6), 6000);
  });

  test('the working set never exceeds memory, and is zero if nothing was measured', () => {
    assert.equal(dirtiedWithin(curve, 1e9, 5500), 5500);
    assert.equal(dirtiedWithin([], 1000, 5500), 0);
  });

  test('working sets are compared by one window, whichever were measured', () => {
    const rateOf = (points: typeof curve) =>
      comparableRate({ curve: points, memoryBytes: 1e6 }) ?? assert.fail();
    assert.equal(rateOf(curve), Math.round(5000 / 3));
    assert.equal(rateOf([...curve, { windowMs: 6000, dirtyBytes: 5100 }]), rateOf(curve));
    assert.equal(rateOf([{ windowMs: 3012, dirtyBytes: 3012 }]), 1000);
    assert.equal(rateOf([{ windowMs: 1000, dirtyBytes: 2000 }]), 2000);
    assert.equal(comparableRate({ curve: [], memoryBytes: 1e6 }), undefined);
  });

  test('the working set never shrinks as the window grows, whatever the sample contains', () => {
    const window = fc.integer({ min: 0, max: 100_000 });
    fc.assert(
      fc.property(anyFacts, window, window, (facts, one, other) => {
        const [shorter, longer] = [Math.min(one, other), Math.max(one, other)].map((windowMs) =>
          dirtiedWithin(facts.curve, windowMs, facts.memoryBytes),
        );
        assert.ok((shorter ?? 0) <= (longer ?? 0) * (1 + 1e-9));
      }),
    );
  });
});
