import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  managerEntry,
  managerPlace,
  managerRoutes,
} from '../../../src/protocol/controller/managers.ts';

const place = { driver: 'any', url: 'https://manager.example', user: 'godwit' };

test('a manager is pinned by a SHA-256 in hex, or not at all', () => {
  for (const fingerprint of ['a'.repeat(64), undefined])
    assert.ok(managerPlace.safeParse({ ...place, fingerprint }).success);
  for (const fingerprint of ['A'.repeat(64), 'a'.repeat(63), 'a:b', ''])
    assert.equal(managerPlace.safeParse({ ...place, fingerprint }).success, false);
});

test('the report of a manager has no field for its password', () => {
  assert.deepEqual(
    Object.keys(managerEntry.shape).filter((name) => /password|secret|options/.test(name)),
    [],
  );
});

test('only an admin may change a manager; an operator may have it read', () => {
  const { diagnoseManager, ...others } = managerRoutes;
  assert.equal(diagnoseManager.access, 'operator');
  for (const [name, { method, access }] of Object.entries(others))
    assert.equal(access, method === 'GET' ? 'viewer' : 'admin', name);
});
