import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dearness, wattsOf } from '../../src/planner/power.ts';
import { host } from './inventories.ts';

test('power is linear between the points, and flat beyond them', () => {
  const measured = host('a', { watts: [100, 150, 160] });
  assert.deepEqual(
    [-1, 0, 0.25, 0.5, 0.75, 1, 2].map((load) => wattsOf(measured, load)),
    [100, 100, 125, 150, 155, 160, 160],
  );
});

test('a host with more capacity for its power is cheaper', () => {
  assert.ok(dearness(host('a', { watts: [80, 120] })) < dearness(host('b', { watts: [80, 150] })));
  assert.ok(dearness(host('a', { cpu: 16 })) < dearness(host('b', { cpu: 8 })));
});
