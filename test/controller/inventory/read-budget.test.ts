import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReadBudget } from '../../../src/controller/inventory/read-budget.ts';

const BOUNDS = { burstBytes: 1000, bytesPerS: 100 };

test('a reader that waits as told reads no more than the burst and the rate allow', () => {
  const reads = fc.array(fc.record({ bytes: fc.nat(300), pauseMs: fc.nat(2000) }));
  fc.assert(
    fc.property(reads, (all) => {
      const budget = new ReadBudget(BOUNDS, 0);
      let [nowMs, sum] = [0, 0];
      for (const { bytes, pauseMs } of all) {
        nowMs += pauseMs;
        nowMs += budget.waitMs(nowMs);
        budget.take(bytes, nowMs);
        sum += bytes;
        assert.ok(sum <= BOUNDS.burstBytes + (nowMs / 1000) * BOUNDS.bytesPerS + 300);
      }
    }),
  );
});

test('a host exceeds its budget until it has a quarter of its burst again', () => {
  const budget = new ReadBudget(BOUNDS, 0);
  budget.take(1000, 0);
  assert.deepEqual([budget.waitMs(0), budget.isExceeded(0)], [0, false]);
  budget.take(100, 0);
  assert.deepEqual([budget.waitMs(0), budget.isExceeded(0)], [1000, true]);
  assert.deepEqual([budget.waitMs(1000), budget.isExceeded(1000)], [0, true]);
  assert.equal(budget.isExceeded(3499), true);
  assert.equal(budget.isExceeded(3500), false);
  // The debt has a bound: every host has its turn again.
  budget.take(1e9, 3500);
  assert.equal(budget.waitMs(3500), 10_000);
});
