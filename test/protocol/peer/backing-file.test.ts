import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backingFile } from '../../../src/protocol/peer/backing-file.ts';

const image = {
  node: 'base0',
  pool: '0123456789abcdef',
  path: 'images/debian.qcow2',
  bytes: 1024,
  sha256: 'ab'.repeat(32),
};

test('a backing file names no path of a host, and has a hash', () => {
  assert.deepEqual(backingFile.parse(image), image);
  for (const wrong of [
    { path: '/etc/shadow' },
    { path: '../x' },
    { sha256: 'ab' },
    { sha256: 'AB'.repeat(32) },
    { bytes: -1 },
  ]) {
    assert.equal(
      backingFile.safeParse({ ...image, ...wrong }).success,
      false,
      JSON.stringify(wrong),
    );
  }
});
