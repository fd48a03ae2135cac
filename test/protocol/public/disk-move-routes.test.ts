import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { diskMoveRoutes } from '../../../src/protocol/public/disk-move-routes.ts';

describe('the routes of disks’ moves', () => {
  test('let viewers look, and only operators, or a controller for them, act', () => {
    for (const { method, access } of Object.values(diskMoveRoutes)) {
      assert.equal(access, method === 'GET' ? 'viewer' : 'orders');
    }
  });

  test('take no id that could be a path', () => {
    const { params } = diskMoveRoutes.cancelDiskMove;
    assert.ok(params.safeParse({ id: 'd-0123456789ab' }).success);
    assert.ok(!params.safeParse({ id: '../d-0123456789ab' }).success);
  });
});
