import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initialDestination } from '../../../src/migration/direct/destination/destination.ts';
import { initialSource } from '../../../src/migration/direct/source/source-state.ts';
import { warmDestination, warmSource } from '../../../src/mover/direct/warm-up.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';
import { admissionOf } from '../../protocol/peer/admission.ts';

const settings = migrationSettings.parse({});

test('running the blackout ahead at the source changes nothing that is kept', () => {
  const planned = {
    type: 'planned',
    id: 'm-12345678',
    guest: 'web1',
    from: 'a',
    to: 'b',
    epoch: 1,
    settings,
    bootId: 'x',
  } as const;
  const { state } = initialSource(planned);
  const inMemory = { ...state, doing: { kind: 'do', step: 'memory' }, right: 'armed' } as const;
  const before = structuredClone(inMemory);
  warmSource(inMemory);
  assert.deepEqual(inMemory, before);
});

test('running the blackout ahead at the destination changes nothing that is kept', () => {
  const admission = admissionOf({ id: 'm-12345678' });
  const state = {
    ...initialDestination({ type: 'admitted', admission, host: 'b' }),
    right: 'armed',
  } as const;
  const before = structuredClone(state);
  warmDestination(state);
  assert.deepEqual(state, before);
});
