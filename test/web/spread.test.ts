import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { distributionOf } from '../../src/migration/insight/insight.ts';
import { daysIn, errorText, heightsOf, placeOf, quantile } from '../../web/src/insight/spread.ts';

const amounts = fc.array(fc.double({ min: 0.001, max: 1e9, noNaN: true }), { minLength: 1 });

describe('the distribution of amounts', () => {
  test('every amount has a place on the bars, and a larger one is never further left', () => {
    fc.assert(
      fc.property(amounts, (given) => {
        const of = distributionOf(given);
        assert.ok(of !== undefined);
        const places = given.toSorted((one, other) => one - other).map((each) => placeOf(of, each));
        assert.ok(places.every((each) => each >= 0 && each <= 1));
        assert.deepEqual(
          places,
          places.toSorted((one, other) => one - other),
        );
      }),
    );
  });

  test('the highest bar has full height, an empty one is absent, and every other one is visible', () => {
    fc.assert(
      fc.property(amounts, (given) => {
        const of = distributionOf(given);
        assert.ok(of !== undefined);
        const heights = heightsOf(of);
        assert.equal(Math.max(...heights), 1);
        for (const [at, { count }] of of.bins.entries())
          assert.equal((heights[at] ?? 0) > 0, count > 0);
      }),
    );
  });

  test('a share that was not reported has no amount', () => {
    const of = distributionOf([1, 2, 3]);
    assert.ok(of !== undefined);
    assert.equal(quantile(of, 0.5), 2);
    assert.equal(quantile(of, 0.123), undefined);
  });
});

test('an error of a prediction has its sign, and a zero error has none', () => {
  assert.deepEqual([0.123, -0.04, 0.001].map(errorText), ['+12 %', '−4 %', '0 %']);
});

test('an address without a known span means 30 days', () => {
  assert.deepEqual([null, '7', '8', 'x'].map(daysIn), [30, 7, 30, 30]);
});
