import assert from 'node:assert/strict';
import { test } from 'node:test';
import { preflightAdmission, preflightRoutes } from '../../../src/protocol/peer/preflight.ts';
import { admissionOf } from './admission.ts';

const admission = admissionOf({ id: 'c-0000000000000001' });

test('a preflight request has the fields of an admission, and of its ports', () => {
  assert.deepEqual(preflightAdmission.parse({ admission, ports: 2 }), { admission, ports: 2 });
  assert.equal(preflightAdmission.safeParse({ admission, ports: 1000 }).success, false);
  assert.equal(preflightAdmission.safeParse({ ports: 1 }).success, false);
  const migration = { ...admission, id: 'm-00000001' };
  assert.equal(preflightAdmission.safeParse({ admission: migration, ports: 2 }).success, false);
});

test('only a host may send a preflight request', () => {
  for (const { access } of Object.values(preflightRoutes)) assert.equal(access, 'agent');
});
