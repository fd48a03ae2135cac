import { CHUNK_BYTES, MOST_HASHES, PIECE_BYTES } from '../../../protocol/peer/disk-check.ts';
import { hashesOf, paged } from './chunks.ts';
import type { ImageReader } from './chunks.ts';

/** The other host's image, which its guest writes to meanwhile. */
export interface FarImage {
  /** Which of these hashes are of something else there now. */
  differ(unit: number, from: number, hashes: readonly string[]): Promise<readonly number[]>;
  /** Which of these pieces were written to since the switch; `anew`: every write that has begun until now counts. */
  rewritten(pieces: readonly number[], anew: boolean): Promise<readonly boolean[]>;
}

export interface ImageCheck {
  readonly comparedBytes: number;
  readonly excludedBytes: number;
  readonly differentBytes: number;
  readonly firstAt: number | undefined;
}

/**
 * Compares an image that nobody writes to any more with the other host's as it was at the switch. Equal contents count
 * as equal, whoever wrote them. Pieces that differ may have been written since. The other hypervisor keeps account of
 * writes. It is asked after everything was read, so that no write can come between the two.
 */
export async function compareImage(
  near: ImageReader,
  far: FarImage,
  signal: AbortSignal,
): Promise<ImageCheck> {
  const chunks = await differing(near, far, signal);
  const pieces: number[] = [];
  for (const at of chunks) {
    const count = CHUNK_BYTES / PIECE_BYTES;
    const hashes = await hashesOf(near, { from: at, unit: PIECE_BYTES, count }, signal);
    for (const index of await far.differ(PIECE_BYTES, at, hashes)) {
      pieces.push(at + index * PIECE_BYTES);
    }
  }
  let [excludedBytes, differentBytes] = [0, 0];
  let firstAt: number | undefined;
  for (const [index, page] of paged(pieces).entries()) {
    signal.throwIfAborted();
    const written = await far.rewritten(page, index === 0);
    for (const [at, piece] of page.entries()) {
      const length = Math.min(PIECE_BYTES, near.size - piece);
      if (written[at] === true) {
        excludedBytes += length;
        continue;
      }
      differentBytes += length;
      firstAt ??= piece;
    }
  }
  const comparedBytes = near.size - excludedBytes - differentBytes;
  return { comparedBytes, excludedBytes, differentBytes, firstAt };
}

/** Chunks that are something else there; the next ones are read while the other host looks at these. */
async function differing(
  near: ImageReader,
  far: FarImage,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const found: number[] = [];
  const step = MOST_HASHES * CHUNK_BYTES;
  const read = (from: number): Promise<string[]> =>
    hashesOf(near, { from, unit: CHUNK_BYTES, count: MOST_HASHES }, signal);
  let next = read(0);
  for (let from = 0; from < near.size; from += step) {
    const hashes = await next;
    const asked = far.differ(CHUNK_BYTES, from, hashes);
    next = read(from + step);
    // Whichever fails first, the other is waited for by nobody else.
    next.catch(() => undefined);
    for (const index of await asked) found.push(from + index * CHUNK_BYTES);
  }
  return found;
}
