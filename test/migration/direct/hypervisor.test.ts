import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hypervisorEvent } from '../../../src/migration/direct/hypervisor.ts';
import { anyHypervisorEvent } from './events.ts';

test('every hypervisor event survives the journal unchanged', () => {
  fc.assert(
    fc.property(anyHypervisorEvent, (event) => {
      assert.deepEqual(hypervisorEvent.parse(JSON.parse(JSON.stringify(event))), event);
    }),
  );
});

test('a reason that is too long for the journal is cut, so that the record can be read again', () => {
  const reason = 'x'.repeat(100_000);
  const event = hypervisorEvent.parse({ type: 'failed', reason });
  assert.ok(event.type === 'failed' && event.reason.length > 0 && event.reason.length < 10_000);
  assert.deepEqual(hypervisorEvent.parse(event), event);
});

test('an event without its facts, or of an unknown kind, is refused', () => {
  for (const bad of [
    {},
    { type: 'failed' },
    { type: 'pass' },
    { type: 'melted' },
    null,
    'active',
  ]) {
    assert.equal(hypervisorEvent.safeParse(bad).success, false);
  }
});
