import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  diskMoveId,
  diskMoveRequest,
  diskMoveState,
  isMoveEnd,
} from '../../../src/protocol/public/disk-move.ts';

describe('a request for a disk move', () => {
  test('a request for a disk move names a guest, a disk and a place', () => {
    const asked = { guest: 'db1', disk: 'disk0', to: '/srv/fast/' };
    assert.deepEqual(diskMoveRequest.parse(asked), asked);
    for (const wrong of [{ guest: '../x' }, { disk: '' }, { to: '' }, { maxBandwidth: 0 }]) {
      assert.equal(diskMoveRequest.safeParse({ ...asked, ...wrong }).success, false);
    }
  });

  test('a request for a disk move has an id that no migration has', () => {
    assert.ok(diskMoveId.safeParse('d-0123456789').success);
    assert.ok(!diskMoveId.safeParse('m-0123456789').success);
    assert.ok(!diskMoveId.safeParse('d-../../etc').success);
  });

  test('a disk move ends in three ways', () => {
    const ends = diskMoveState.options.filter(isMoveEnd);
    assert.deepEqual(ends, ['done', 'failed', 'cancelled']);
  });
});
