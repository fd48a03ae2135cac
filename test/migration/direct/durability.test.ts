import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { destinationDurability, durability } from '../../../src/migration/direct/durability.ts';
import { planned } from './samples.ts';
import { anyEvent, anyHypervisorEvent } from './events.ts';

test('what a hypervisor says is never synced: it may say so inside the blackout', () => {
  fc.assert(
    fc.property(anyHypervisorEvent, (event) => {
      assert.equal(durability({ type: 'hypervisor', event }), 'later');
    }),
  );
});

test('what a recovery must not forget is synced before anything follows from it', () => {
  assert.equal(durability(planned()), 'sync');
  assert.equal(durability({ type: 'did', step: 'arm', facts: {} }), 'sync');
  assert.equal(durability({ type: 'cancel' }), 'sync');
});

test('looks at the stream and at the copies may be left out, all but the last', () => {
  fc.assert(
    fc.property(anyEvent, (event) => {
      const isLook = event.type === 'copied' || (event.type === 'measured' && !event.final);
      assert.equal(durability(event) === 'spared', isLook);
    }),
  );
});

test('the end of the blackout is synced soon, by nobody who waits', () => {
  assert.equal(durability({ type: 'did', step: 'commit', facts: {} }), 'soon');
});

test('what the right to run rests on is synced; what happens inside the blackout is not waited for', () => {
  assert.equal(destinationDurability({ type: 'armed', epoch: 7, bootId: 'boot-1' }), 'sync');
  assert.equal(destinationDurability({ type: 'refused', epoch: 7, why: '' }), 'sync');
  assert.equal(destinationDurability({ type: 'committed', epoch: 7 }), 'later');
  assert.equal(destinationDurability({ type: 'running', epoch: 7, resumeMs: 1 }), 'soon');
});
