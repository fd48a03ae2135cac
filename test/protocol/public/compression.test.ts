import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chosenStream, compressLevel } from '../../../src/protocol/public/compression.ts';

test('a level of zstd is a whole number from 1 to 20, or absent', () => {
  for (const level of [undefined, 1, 3, 20]) assert.ok(compressLevel.safeParse(level).success);
  for (const level of [0, 21, 1.5, '3', null, NaN])
    assert.equal(compressLevel.safeParse(level).success, false, String(level));
});

test('a chosen stream has its number and its compression; an older one without a level is read', () => {
  const plain = { streams: 4, compress: 'zstd' };
  assert.deepEqual(chosenStream.parse(plain), plain);
  assert.equal(chosenStream.parse({ ...plain, compressLevel: 3 }).compressLevel, 3);
  for (const wrong of [{ streams: 0 }, { streams: 17 }, { compress: 'lz4' }])
    assert.equal(chosenStream.safeParse({ ...plain, ...wrong }).success, false);
});
