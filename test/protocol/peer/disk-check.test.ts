import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CHUNK_BYTES, comparison, rewriting } from '../../../src/protocol/peer/disk-check.ts';

describe('requests about a copied image', () => {
  const asked = {
    epoch: 1,
    node: 'disk0',
    unit: CHUNK_BYTES,
    from: 0,
    hashes: ['', 'a'.repeat(32)],
  };

  test('a request for hashes of a copied image is bounded in number and length', () => {
    assert.deepEqual(comparison.parse(asked), asked);
    for (const wrong of [
      { hashes: ['abc'] },
      { hashes: [] },
      { hashes: Array.from({ length: 257 }, () => '') },
      { unit: 512 },
      { node: '../x' },
      { from: -1 },
    ]) {
      assert.equal(comparison.safeParse({ ...asked, ...wrong }).success, false);
    }
  });

  test('a request for ranges of a copied image is bounded', () => {
    const body = { epoch: 1, node: 'disk0', anew: true, pieces: [0, 65_536] };
    assert.deepEqual(rewriting.parse(body), body);
    const many = Array.from({ length: 4097 }, () => 0);
    assert.equal(rewriting.safeParse({ ...body, pieces: many }).success, false);
  });
});
