import { hash } from 'node:crypto';
import { DIGEST_BYTES } from '../link/frames.ts';
import { PAGE } from './memory.ts';

/**
 * SHA-256 of pages, stored consecutively in a buffer. Separate objects per page would be too many: collecting
 * them took longer than hashing. Pure.
 */

const NO_PAGE = Buffer.alloc(PAGE);
const NO_DIGEST = Buffer.alloc(DIGEST_BYTES);

/** Writes the digest of the page at `from` to place `index`. False for a zero page, whose digest is all zeroes here. */
export function digestPage(pages: Buffer, from: number, digests: Buffer, index: number): boolean {
  const page = pages.subarray(from, from + PAGE);
  const at = index * DIGEST_BYTES;
  if (page.equals(NO_PAGE)) {
    digests.fill(0, at, at + DIGEST_BYTES);
    return false;
  }
  digests.write(hash('sha256', page, 'latin1'), at, DIGEST_BYTES, 'latin1');
  return true;
}

export function isPageOf(pages: Buffer, from: number, digests: Buffer, index: number): boolean {
  const at = index * DIGEST_BYTES;
  const digest = hash('sha256', pages.subarray(from, from + PAGE), 'latin1');
  return digest === digests.toString('latin1', at, at + DIGEST_BYTES);
}

export function isOfZeroes(digests: Buffer, index: number): boolean {
  const at = index * DIGEST_BYTES;
  return digests.compare(NO_DIGEST, 0, DIGEST_BYTES, at, at + DIGEST_BYTES) === 0;
}
