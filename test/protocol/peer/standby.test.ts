import assert from 'node:assert/strict';
import { test } from 'node:test';
import { standbyOffer, standbyPeerRoutes } from '../../../src/protocol/peer/standby.ts';
import { admissionOf } from './admission.ts';

const admission = admissionOf({ id: 'c-0000000000000001' });
const description = {
  driver: 'fake',
  name: 'web1',
  memoryBytes: 1,
  vcpus: 1,
  hypervisorVersion: '1',
  spec: {},
};
const stream = { mode: 'precopy', streams: 1, compress: 'none', tls: true };
const preparation = { epoch: 1, description, stream };

test('what is kept of a guest is of a check, and of no migration', () => {
  assert.equal(standbyOffer.safeParse({ admission, preparation }).success, true);
  const ofMigration = { ...admission, id: 'm-00000001' };
  assert.equal(standbyOffer.safeParse({ admission: ofMigration, preparation }).success, false);
});

test('only another host says what starts its guest', () => {
  assert.equal(standbyPeerRoutes.keepStandby.access, 'agent');
});
