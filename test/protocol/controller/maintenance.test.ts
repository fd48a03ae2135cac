import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  maintenanceNote,
  maintenanceRoutes,
} from '../../../src/protocol/controller/maintenance.ts';

test('a note has some words, and not too many to read', () => {
  assert.equal(maintenanceNote.safeParse('a fan is loud').success, true);
  for (const note of ['', 'x'.repeat(501)])
    assert.equal(maintenanceNote.safeParse(note).success, false);
});

test('a note is set or removed by operators, and no other fields are accepted', () => {
  const { access, body } = maintenanceRoutes.setMaintenance;
  assert.equal(access, 'operator');
  assert.deepEqual(body.parse({ note: null }), { note: null });
  for (const wrong of [{}, { note: null, drain: true }])
    assert.equal(body.safeParse(wrong).success, false);
});
