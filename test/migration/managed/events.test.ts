import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { managedEvent, managedRecord, orderOf } from '../../../src/migration/managed/events.ts';
import { managedOrder } from '../../../src/migration/managed/task-sight.ts';
import { anyEvent, planned } from './samples.ts';

test('every event survives a round trip through the journal', () => {
  assert.deepEqual(managedEvent.parse(JSON.parse(JSON.stringify(planned()))), planned());
  fc.assert(
    fc.property(anyEvent, (event) => {
      const record = { v: 1 as const, seq: 0, at: 1, mono: 1, event };
      assert.deepEqual(managedRecord.parse(JSON.parse(JSON.stringify(record))), record);
    }),
  );
});

test('an unknown event is refused', () => {
  for (const bad of [{}, { type: 'did', step: 'memory', facts: {} }, { type: 'saw' }, null]) {
    assert.equal(managedEvent.safeParse(bad).success, false);
  }
});

test('an order over the wire has a shorter planned downtime, and no separate cap', () => {
  const { type: _, askedAtMs: __, ...plan } = planned();
  const settings = { ...plan.settings, maxBandwidth: 1000, maxDowntimeMs: 35 };
  const native = orderOf({ ...plan, settings });
  assert.deepEqual([native.wire, native.maxBandwidth, native.maxDowntimeMs], [undefined, 1000, 35]);
  const wire = orderOf({ ...plan, settings: { ...settings, path: 'wire' } });
  assert.deepEqual([wire.wire, wire.maxBandwidth, wire.maxDowntimeMs], [true, undefined, 15]);
  assert.deepEqual(managedOrder.parse(wire), wire);
});
