import { createHash } from 'node:crypto';
import { MAX_PIECES } from '../../../protocol/peer/disk-check.ts';

/** What of an image is compared with the other host's. */

export interface ImageReader {
  readonly size: number;
  /** Undefined if all of it is zero. */
  read(from: number, length: number, signal: AbortSignal): Promise<Buffer | undefined>;
  /** How far all is zero from there on, without reading it; `from` if it is not, or that is not known. Absent: not known. */
  zeroUntil?(from: number, signal: AbortSignal): Promise<number>;
}

const HASH_CHARACTERS = 32;
const ZEROES = Buffer.alloc(1024 ** 2);

/** A hash that stands for what is there; of zeroes, allocated or not, it is empty. */
export function hashOf(bytes: Buffer | undefined): string {
  if (bytes === undefined || bytes.equals(ZEROES.subarray(0, bytes.length))) return '';
  return createHash('sha256').update(bytes).digest('hex').slice(0, HASH_CHARACTERS);
}

/** Those of at most `count` units from `from` on; the last may be shorter. */
export async function hashesOf(
  reader: ImageReader,
  range: { readonly from: number; readonly unit: number; readonly count: number },
  signal: AbortSignal,
): Promise<string[]> {
  const { from, unit, count } = range;
  const hashes: string[] = [];
  for (let at = from; at < reader.size && hashes.length < count; at += unit) {
    signal.throwIfAborted();
    const length = Math.min(unit, reader.size - at);
    hashes.push(hashOf(await reader.read(at, length, signal)));
  }
  return hashes;
}

/** In parts that one call takes. */
export function paged(pieces: readonly number[]): number[][] {
  const pages: number[][] = [];
  for (let at = 0; at < pieces.length; at += MAX_PIECES) {
    pages.push(pieces.slice(at, at + MAX_PIECES));
  }
  return pages;
}
