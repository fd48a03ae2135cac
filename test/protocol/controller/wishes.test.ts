import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wishRoutes } from '../../../src/protocol/controller/wishes.ts';

test('who only looks may read wishes, and not ask for any', () => {
  for (const { method, access } of Object.values(wishRoutes)) {
    assert.equal(access, method === 'GET' ? 'viewer' : 'operator');
  }
});

test('a request that does not say so is no dry run', () => {
  assert.deepEqual(wishRoutes.putWish.query.parse({}), { dryRun: 'false' });
});
