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

test('a standby copy of a guest belongs to a check, and to no migration', () => {
  assert.equal(standbyOffer.safeParse({ admission, preparation }).success, true);
  const ofMigration = { ...admission, id: 'm-00000001' };
  assert.equal(standbyOffer.safeParse({ admission: ofMigration, preparation }).success, false);
});

test('only another host reports the start settings of its guest', () => {
  assert.equal(standbyPeerRoutes.keepStandby.access, 'agent');
});
