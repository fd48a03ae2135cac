import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { measuredLine, type Measure } from '../../../src/controller/requests/measured-line.ts';

const measure = (by: string, rate: number, roundTripMs: number): Measure => {
  return { by, link: { rate, how: 'measured', roundTripMs } };
};
const rate = fc.integer({ min: 1, max: 1e12 });
const trip = fc.double({ min: 0, max: 10_000, noNaN: true });
const one = fc.tuple(rate, trip);

test('a line exists only with a measurement', () => {
  assert.equal(measuredLine([], undefined), undefined);
});

test('one lying host of three never moves the line to a rate that none of the others saw', () => {
  fc.assert(
    fc.property(one, one, one, fc.nat(2), ([r1, t1], [r2, t2], [r3, t3], at) => {
      const honest = [measure('a', r1, t1), measure('b', r2, t2)];
      const lie = measure('c', r3, t3);
      const line = measuredLine(honest.toSpliced(at, 0, lie), undefined);
      assert.ok(line !== undefined);
      const within = (value: number, one: number, other: number): boolean =>
        value >= Math.min(one, other) && value <= Math.max(one, other);
      assert.ok(within(line.bytesPerS, r1, r2));
      assert.ok(within(line.roundTripMs, t1, t2));
      assert.equal(line.by.length, 3);
    }),
  );
});

test('a host that lies promises no more than the other of two, and no more than the map', () => {
  fc.assert(
    fc.property(one, one, rate, ([r1, t1], [r2, t2], most) => {
      const map = { bytesPerS: most, roundTripMs: t1 };
      const line = measuredLine([measure('a', r1, t1), measure('b', r2, t2)], map);
      assert.equal(line?.bytesPerS, Math.min(r1, r2, most));
      assert.equal(line.roundTripMs, Math.max(t1, t2));
      const alone = measuredLine([measure('b', r2, t2)], map);
      assert.ok(alone !== undefined && alone.bytesPerS <= most && alone.roundTripMs >= t1);
    }),
  );
});
