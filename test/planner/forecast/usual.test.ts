import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { usualOf } from '../../../src/planner/forecast/usual.ts';

const day = fc.dictionary(
  fc.constantFrom('a', 'b', 'c'),
  fc.double({ min: 0, max: 8, noNaN: true }),
);

test('a guest with three known days has their mean, and one with fewer has none', () => {
  fc.assert(
    fc.property(fc.array(day, { maxLength: 8 }), (days) => {
      const usual = usualOf(days.map((each) => new Map(Object.entries(each))));
      for (const name of ['a', 'b', 'c']) {
        const reported = days.flatMap((each) => each[name] ?? []);
        const found = usual.get(name);
        assert.equal(found !== undefined, reported.length >= 3);
        if (found === undefined) continue;
        const mean = reported.reduce((sum, each) => sum + each, 0) / reported.length;
        assert.ok(Math.abs(found - mean) < 1e-9);
      }
    }),
  );
});
