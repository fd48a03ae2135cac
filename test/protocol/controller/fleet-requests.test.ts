import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestRoutes } from '../../../src/protocol/controller/fleet-requests.ts';

test('a viewer may read requests, but not create any', () => {
  for (const { method, access } of Object.values(requestRoutes)) {
    assert.equal(access, method === 'GET' ? 'viewer' : 'operator');
  }
});

test('a request is not a dry run by default', () => {
  assert.deepEqual(requestRoutes.putRequest.query.parse({}), { dryRun: 'false' });
});
