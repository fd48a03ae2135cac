import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { piecesOf } from '../../../lab/guest/disks.ts';

const MIB = 1024 ** 2;

test("a disk's data is in disjoint pieces, all on the disk and in the requested amount", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_480 }), fc.nat({ max: 20_480 }), (size, filled) => {
      const pieces = piecesOf(size * MIB, filled * MIB);
      assert.equal(pieces.length, Math.min(size, filled));
      for (const [index, at] of pieces.entries()) {
        assert.ok(at >= (index === 0 ? 0 : (pieces[index - 1] ?? 0) + MIB));
        assert.ok(at + MIB <= size * MIB);
      }
    }),
  );
});

test('a small amount of data on a large disk is spread over all of it', () => {
  assert.deepEqual(
    piecesOf(20_480 * MIB, 4 * MIB),
    [0, 5120, 10_240, 15_360].map((at) => at * MIB),
  );
});
