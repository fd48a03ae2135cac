import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { managedEvent, managedRecord } from '../../../src/migration/managed/events.ts';
import { anyEvent, planned } from './samples.ts';

test('whatever can happen is read again from a journal as it was', () => {
  assert.deepEqual(managedEvent.parse(JSON.parse(JSON.stringify(planned()))), planned());
  fc.assert(
    fc.property(anyEvent, (event) => {
      const record = { v: 1 as const, seq: 0, at: 1, mono: 1, event };
      assert.deepEqual(managedRecord.parse(JSON.parse(JSON.stringify(record))), record);
    }),
  );
});

test('what is no event is refused', () => {
  for (const bad of [{}, { type: 'did', step: 'memory', facts: {} }, { type: 'saw' }, null]) {
    assert.equal(managedEvent.safeParse(bad).success, false);
  }
});
