import { createHash } from 'node:crypto';
import { MAX_PIECES } from '../../../protocol/peer/disk-check.ts';

export interface ImageReader {
  readonly size: number;
  /** Undefined if all of it is zero. */
  read(from: number, length: number, signal: AbortSignal): Promise<Buffer | undefined>;
  /** End of the zeros from there, without reading; `from` if there are none or it is unknown. Absent: unknown. */
  zeroUntil?(from: number, signal: AbortSignal): Promise<number>;
}

const HASH_CHARACTERS = 32;
const ZEROES = Buffer.alloc(1024 ** 2);

/** Empty for zeros, allocated or not. */
export function hashOf(bytes: Buffer | undefined): string {
  if (bytes === undefined || bytes.equals(ZEROES.subarray(0, bytes.length))) return '';
  return createHash('sha256').update(bytes).digest('hex').slice(0, HASH_CHARACTERS);
}

/** Hashes of up to `count` units; the last may be shorter. */
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

export function paged(pieces: readonly number[]): number[][] {
  const pages: number[][] = [];
  for (let at = 0; at < pieces.length; at += MAX_PIECES) {
    pages.push(pieces.slice(at, at + MAX_PIECES));
  }
  return pages;
}
