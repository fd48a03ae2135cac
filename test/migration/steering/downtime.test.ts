import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { plannedDowntimeMs, presentDowntimeMs } from '../../../src/migration/steering/downtime.ts';
import { afterMeasure } from '../../../src/migration/steering/trace.ts';
import { STRATEGIES } from '../../../src/protocol/public/steering.ts';

test('by the wire the hypervisor plans for less than was asked for, and for half of it at least', () => {
  fc.assert(
    fc.property(fc.nat(100_000), (asked) => {
      assert.equal(plannedDowntimeMs(asked, false), asked);
      const byWire = plannedDowntimeMs(asked, true);
      assert.ok(byWire >= asked / 2 && byWire <= asked && byWire >= asked - 20);
    }),
  );
  assert.equal(plannedDowntimeMs(30, true), 15);
  assert.equal(plannedDowntimeMs(300, true), 280);
});

test('the downtime begins at the first rung where there is a ladder', () => {
  assert.equal(presentDowntimeMs(STRATEGIES.standard, 400), 100);
  assert.equal(presentDowntimeMs(STRATEGIES.gentle, 400), 400);
  const trace = afterMeasure(undefined, 'so', { of: 'downtimeMs', from: 100, to: 300 });
  assert.equal(presentDowntimeMs(STRATEGIES.standard, 400, trace), 300);
});
