import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { estimate } from '../../src/planner/estimate.ts';

const options = { newest: 0.5, swing: 0.1, swingWeight: 4, samples: 24 };

test('the estimate is between the newest sample and the mean', () => {
  assert.deepEqual(estimate({ cpu: 4, demand: [3, 1] }, options)?.mean, 2.5);
});

test('a steady guest is trusted the more the longer it is steady, and a swinging one is not', () => {
  const variance = (demand: number[]): number =>
    estimate({ cpu: 4, demand }, options)?.variance ?? Number.NaN;
  const steady = (count: number): number[] => Array.from({ length: count }, () => 1);
  assert.ok(variance(steady(20)) < variance(steady(2)));
  assert.ok(variance([0, 3, 0, 3, 0, 3]) > variance(steady(6)));
});

test('invalid samples are ignored, and there is no estimate if the newest one is invalid', () => {
  assert.equal(estimate({ cpu: 4, demand: [1, Number.NaN, -3, 1e9, 1] }, options)?.mean, 1);
  for (const newest of [Number.NaN, -1, 5, Infinity]) {
    assert.equal(estimate({ cpu: 4, demand: [newest, 1] }, options), undefined);
  }
  assert.equal(estimate({ cpu: 4, demand: [] }, options), undefined);
});

test('the estimate is a valid number, whatever is reported', () => {
  fc.assert(
    fc.property(fc.array(fc.double()), fc.constantFrom(1, 8), (demand, cpu) => {
      const expected = estimate({ cpu, demand });
      if (expected === undefined) return;
      assert.ok(expected.mean >= 0 && expected.mean <= cpu * 1.011);
      assert.ok(expected.variance > 0 && Number.isFinite(expected.variance));
    }),
  );
});
