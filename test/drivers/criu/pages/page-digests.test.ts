import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import {
  digestPage,
  isOfZeroes,
  isPageOf,
} from '../../../../src/drivers/criu/pages/page-digests.ts';

test('each page has its SHA-256 at its place, and a page of zeroes has zeroes', () => {
  const pages = Buffer.alloc(3 * 4096);
  pages.fill(1, 0, 4096);
  pages.fill(2, 8192);
  const digests = Buffer.alloc(3 * 32, 7);
  const had = [0, 1, 2].map((index) => digestPage(pages, index * 4096, digests, index));
  assert.deepEqual(had, [true, false, true]);
  for (const index of [0, 2]) {
    const digest = hash('sha256', pages.subarray(index * 4096, (index + 1) * 4096), 'buffer');
    assert.ok(digest.equals(digests.subarray(index * 32, (index + 1) * 32)));
    assert.equal(isPageOf(pages, index * 4096, digests, index), true);
  }
  assert.deepEqual(
    [0, 1, 2].map((index) => isOfZeroes(digests, index)),
    [false, true, false],
  );
  assert.equal(isPageOf(pages, 0, digests, 2), false);
});
