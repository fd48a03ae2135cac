import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { drawn } from '../../bench/prediction.ts';

const MIB = 1024 ** 2;
const light = { link: '1gbit', guest: 'light', only: undefined } as const;

test('without a seed the guests are those that are named, and each way comes once', () => {
  const { ways, ...writes } = drawn({ ...light, seed: undefined });
  assert.deepEqual(writes, { workingSetBytes: 64 * MIB, dirtyBytesPerSecond: 2 * MIB });
  assert.deepEqual(ways, ['precopy', 'zstd', 'postcopy']);
});

test('a seed draws other guests around them, the same each time, and no way is lost', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const { workingSetBytes, dirtyBytesPerSecond, ways } = drawn({ ...light, seed });
      assert.deepEqual(drawn({ ...light, seed }), { workingSetBytes, dirtyBytesPerSecond, ways });
      assert.ok(workingSetBytes >= 49 * MIB && workingSetBytes <= 84 * MIB);
      assert.ok(dirtyBytesPerSecond >= MIB && dirtyBytesPerSecond <= 4 * MIB);
      assert.deepEqual(ways.toSorted(), ['postcopy', 'precopy', 'zstd']);
    }),
  );
  for (const seed of [1, 2, 3, 4])
    assert.ok(drawn({ ...light, guest: 'hard', seed }).workingSetBytes <= 128 * MIB);
  const sets = [1, 2, 3, 4].map((seed) => drawn({ ...light, seed }).workingSetBytes);
  assert.ok(new Set(sets).size > 1);
  assert.deepEqual(drawn({ ...light, only: ['zstd'], seed: 5 }).ways, ['zstd']);
});
