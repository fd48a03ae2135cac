import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  askedDowntimeMs,
  longerDowntime,
  plannedDowntimeMs,
  presentDowntimeMs,
  queuedMs,
} from '../../../src/migration/steering/downtime.ts';
import { afterMeasure } from '../../../src/migration/steering/trace.ts';
import { STRATEGIES } from '../../../src/protocol/public/steering.ts';

test("the hypervisor's downtime is the requested one minus bytes under way, and at least a third of it", () => {
  fc.assert(
    fc.property(fc.nat(100_000), fc.nat(2000), (asked, underWay) => {
      assert.equal(plannedDowntimeMs(asked, 0), asked);
      const planned = plannedDowntimeMs(asked, underWay);
      assert.ok(planned >= asked / 3 - 1e-6 && planned <= asked && planned >= asked - underWay);
      // What has to be asked for is the least that leaves so much to plan for.
      assert.ok(askedDowntimeMs(planned, underWay) <= asked + 1e-6);
      assert.ok(plannedDowntimeMs(askedDowntimeMs(asked, underWay), underWay) >= asked - 1e-6);
    }),
  );
  assert.equal(plannedDowntimeMs(27, 20), 9);
  assert.equal(plannedDowntimeMs(300, 20), 280);
});

test('bytes held by the kernel take the time that the link needs for them', () => {
  assert.equal(queuedMs(1_500_000, 10_000_000), 150);
  assert.equal(queuedMs(0, 0), 0);
  assert.ok(queuedMs(1, 0) > 0);
});

test('a rung suffices if the downtime without the bytes under way fits', () => {
  const at = (expectedMs: number, underWay: number) =>
    longerDowntime(
      STRATEGIES.standard,
      { settings: { maxDowntimeMs: 400 }, trace: undefined, underWayMs: underWay },
      expectedMs,
    )?.to;
  assert.deepEqual([at(190, 0), at(190, 50)], [200, 300]);
  assert.equal(at(5000, 0), 400);
});

test('the downtime begins at the first rung if there is a ladder', () => {
  assert.equal(presentDowntimeMs(STRATEGIES.standard, 400), 100);
  assert.equal(presentDowntimeMs(STRATEGIES.gentle, 400), 400);
  const trace = afterMeasure(undefined, 'so', { of: 'downtimeMs', from: 100, to: 300 });
  assert.equal(presentDowntimeMs(STRATEGIES.standard, 400, trace), 300);
});
