import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SortedWindow } from '../../../bench/forecast/sorted-window.ts';

test('a window has the mean and the quantiles of its last values', () => {
  const value = fc.integer({ min: -100, max: 100 });
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 50 }), (values) => {
      const window = new SortedWindow(10);
      for (const each of values) window.add(each);
      const kept = values.slice(-10).toSorted((left, right) => left - right);
      assert.ok(
        Math.abs(window.mean - kept.reduce((sum, each) => sum + each, 0) / kept.length) < 1e-9,
      );
      assert.equal(window.quantile(0), kept[0]);
      assert.equal(window.quantile(1), kept.at(-1));
      assert.ok(window.quantile(0.5) >= window.quantile(0.2));
    }),
  );
  assert.equal(new SortedWindow(3).quantile(0.5), 0);
});
