import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestRoutes } from '../../../src/protocol/controller/fleet-requests.ts';

test('who only looks may read requests, and not ask for any', () => {
  for (const { method, access } of Object.values(requestRoutes)) {
    assert.equal(access, method === 'GET' ? 'viewer' : 'operator');
  }
});

test('a request that does not say so is no dry run', () => {
  assert.deepEqual(requestRoutes.putRequest.query.parse({}), { dryRun: 'false' });
});
