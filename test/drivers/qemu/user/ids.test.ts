import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  deviceGroup,
  freeId,
  guestIds,
  isGuestId,
  reachOf,
} from '../../../../src/drivers/qemu/user/ids.ts';

const range = { from: 60_000, count: 5 };
const small = fc.record({
  from: fc.integer({ min: 1000, max: 2000 }),
  count: fc.integer({ min: 2, max: 9 }),
});

describe("the number of a guest's user", () => {
  test('the number is a free one of the range, and never the number of the device group', () => {
    fc.assert(
      fc.property(
        small,
        fc.array(fc.integer({ min: 1000, max: 2010 })),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (own, others, start) => {
          const taken = new Set(others);
          const id = freeId(own, taken, start);
          const free = Array.from({ length: guestIds(own) }, (_, index) => own.from + 1 + index);
          if (id === undefined) return free.every((each) => taken.has(each));
          return isGuestId(id, own) && !taken.has(id) && id !== deviceGroup(own);
        },
      ),
    );
  });

  test('no number is given if all are taken', () => {
    assert.equal(freeId(range, new Set([60_001, 60_002, 60_003, 60_004]), 0.5), undefined);
    assert.equal(freeId(range, new Set([60_001, 60_002, 60_004]), 0.99), 60_003);
  });
});

describe('a process', () => {
  test('a process may become the users that its user namespace has', () => {
    assert.equal(reachOf('         0          0 4294967295\n', range), 'all');
    assert.equal(reachOf('0 100000 65536\n', range), 'all');
    assert.equal(reachOf('0 100000 60004\n', range), 'none');
    assert.equal(reachOf('0 1000 1\n1 100000 65536\n', range), 'all');
  });

  test('a process alone in its namespace has no other user to become', () => {
    assert.equal(reachOf('0 1000 1\n', range), 'alone');
    // Root outside as well.
    assert.equal(reachOf('0 0 1\n', range), 'none');
    assert.equal(reachOf('', range), 'none');
  });
});
