import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryPathOf } from '../../../src/migration/prediction/memory-path.ts';

const plain = { streams: 1, compress: 'none' } as const;

test('a stream uses the row of its work, and a level between two measured ones uses the next row', () => {
  assert.equal(memoryPathOf('native', plain, true), 'plain');
  assert.equal(memoryPathOf('native', { ...plain, streams: 4 }, false), 'several');
  assert.equal(memoryPathOf('native', { ...plain, compress: 'xbzrle' }, false), 'xbzrle');
  const zstd = (compressLevel?: number) =>
    memoryPathOf('native', { streams: 4, compress: 'zstd', compressLevel }, false);
  assert.deepEqual(
    [zstd(), zstd(1), zstd(2), zstd(3), zstd(5), zstd(9)],
    ['packed', 'packed', 'packed3', 'packed3', 'packed9', 'packed9'],
  );
});

test('the wire uses the row for the contents of its caches', () => {
  assert.equal(memoryPathOf('wire', plain, false), 'cold');
  assert.equal(memoryPathOf('wire', plain, true), 'known');
});
