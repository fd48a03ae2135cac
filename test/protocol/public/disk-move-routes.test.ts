import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { diskMoveRoutes } from '../../../src/protocol/public/disk-move-routes.ts';

describe('disk move routes', () => {
  test('disk move routes let viewers look, and only operators, or a controller for them, act', () => {
    // A wrong answer about a held move gives the guest an old image.
    const byOperator = new Set(['resolveDiskMove']);
    for (const [name, { method, access }] of Object.entries(diskMoveRoutes)) {
      const acts = byOperator.has(name) ? 'operator' : 'orders';
      assert.equal(access, method === 'GET' ? 'viewer' : acts, name);
    }
  });

  test('disk move routes accept no id that could be a path', () => {
    const { params } = diskMoveRoutes.cancelDiskMove;
    assert.ok(params.safeParse({ id: 'd-0123456789ab' }).success);
    assert.ok(!params.safeParse({ id: '../d-0123456789ab' }).success);
  });
});
