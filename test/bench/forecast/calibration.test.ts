import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Calibration } from '../../../bench/forecast/calibration.ts';

test('a share that too few lie below is raised until as many do, and stays within bounds', () => {
  const calibration = new Calibration([0.9]);
  assert.equal(calibration.levelOf(0.9), 0.9);
  // What is forecast by a level has 5 of 100 fewer below it than it says.
  for (let look = 0; look < 1000; look += 1)
    calibration.observe(0.9, calibration.levelOf(0.9) - 0.05);
  assert.ok(Math.abs(calibration.levelOf(0.9) - 0.95) < 0.001);
  for (let look = 0; look < 1000; look += 1) calibration.observe(0.9, 0);
  assert.ok(calibration.levelOf(0.9) < 1);
});
