import assert from 'node:assert/strict';
import { test } from 'node:test';
import { madeLoads } from '../../bench/seasonal.ts';
import { Random } from '../../sim/random.ts';

test('made loads are shares, alike for the same seed, and have days', () => {
  const make = () => {
    const random = new Random(7);
    return madeLoads(20, 14, () => random.next());
  };
  const loads = make();
  assert.deepEqual(loads, make());
  assert.ok(loads.every(({ samples }) => samples.length === 14 * 288));
  assert.ok(loads.every(({ samples }) => samples.every((each) => each >= 0 && each <= 1)));
  const hourly = (hour: number): number =>
    loads.reduce((sum, { samples }) => sum + (samples[hour * 12] ?? 0), 0);
  assert.ok(hourly(12) > hourly(2));
});
