import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { destinationDurability, durability } from '../../../src/migration/direct/durability.ts';
import { planned } from './samples.ts';
import { anyEvent, anyHypervisorEvent } from './events.ts';

test('hypervisor events are never synced, since they may arrive inside the blackout', () => {
  fc.assert(
    fc.property(anyHypervisorEvent, (event) => {
      assert.equal(durability({ type: 'hypervisor', event }), 'later');
    }),
  );
});

test('records that a recovery depends on are synced before anything follows from them', () => {
  assert.equal(durability(planned()), 'sync');
  assert.equal(durability({ type: 'did', step: 'arm', facts: {} }), 'sync');
  assert.equal(durability({ type: 'cancel' }), 'sync');
});

test('checks of the stream and of the copies may be omitted, except the last one', () => {
  fc.assert(
    fc.property(anyEvent, (event) => {
      const isLook = event.type === 'copied' || (event.type === 'measured' && !event.final);
      assert.equal(durability(event) === 'spared', isLook);
    }),
  );
});

test('the end of the blackout is synced soon, and no caller waits for it', () => {
  assert.equal(durability({ type: 'did', step: 'commit', facts: {} }), 'soon');
});

test('records behind the right to run are synced; nothing inside the blackout waits for a sync', () => {
  assert.equal(destinationDurability({ type: 'armed', epoch: 7, bootId: 'boot-1' }), 'sync');
  assert.equal(destinationDurability({ type: 'refused', epoch: 7, why: '' }), 'sync');
  assert.equal(destinationDurability({ type: 'committed', epoch: 7 }), 'later');
  assert.equal(destinationDurability({ type: 'running', epoch: 7, resumeMs: 1 }), 'soon');
});
