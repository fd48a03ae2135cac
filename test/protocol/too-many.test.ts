import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { tooMany } from '../../src/protocol/too-many.ts';

const schema = z.object({
  disks: z.array(z.object({ images: z.array(z.number()).max(3) })).max(4),
  netdevs: z.array(z.string()).max(2),
});

const found = (value: unknown) => {
  const parsed = schema.safeParse(value);
  return parsed.success ? 'fine' : tooMany(value, parsed.error);
};

test('a list that is too long is named, with its length and its limit', () => {
  const disk = { images: [1] };
  assert.deepEqual(found({ disks: Array.from({ length: 9 }, () => disk), netdevs: [] }), {
    what: 'disks',
    count: 9,
    limit: 4,
  });
  assert.deepEqual(found({ disks: [disk, { images: [1, 2, 3, 4] }], netdevs: [] }), {
    what: 'images',
    count: 4,
    limit: 3,
  });
  assert.deepEqual(found({ disks: [], netdevs: ['a', 'b', 'c'] }), {
    what: 'network backends',
    count: 3,
    limit: 2,
  });
});

test('a list is named if and only if one is too long, whatever else is wrong', () => {
  fc.assert(
    fc.property(fc.nat(8), fc.nat(4), fc.boolean(), (disks, netdevs, isBroken) => {
      const value = {
        disks: Array.from({ length: disks }, () => ({ images: [1] })),
        netdevs: Array.from({ length: netdevs }, () => (isBroken ? 7 : 'n')),
      };
      const answer = found(value);
      const isLong = disks > 4 || netdevs > 2;
      assert.equal(typeof answer === 'object', isLong);
    }),
  );
});
