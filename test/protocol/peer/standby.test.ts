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

test('a standby offer has the id of a check, and not of a migration', () => {
  assert.equal(standbyOffer.safeParse({ admission, preparation }).success, true);
  const ofMigration = { ...admission, id: 'm-00000001' };
  assert.equal(standbyOffer.safeParse({ admission: ofMigration, preparation }).success, false);
});

test('only another host may send the start settings of a guest', () => {
  assert.equal(standbyPeerRoutes.keepStandby.access, 'agent');
});
