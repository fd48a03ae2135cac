import { CHUNK_BYTES, MAX_HASHES, PIECE_BYTES } from '../../../protocol/peer/disk-check.ts';
import { hashesOf, paged, type ImageReader } from './chunks.ts';

/** The other host's image, which its guest writes to meanwhile. */
export interface FarImage {
  /** Hashes that do not match there, and the end of the zeros after them. */
  differ(
    unit: number,
    from: number,
    hashes: readonly string[],
  ): Promise<{ readonly differ: readonly number[]; readonly zeroUntil?: number | undefined }>;
  /** Pieces written to since the switchover; `anew`: includes every write begun until now. */
  rewritten(pieces: readonly number[], anew: boolean): Promise<readonly boolean[]>;
}

export interface ImageCheck {
  readonly comparedBytes: number;
  readonly excludedBytes: number;
  readonly differentBytes: number;
  readonly firstAt: number | undefined;
}

/**
 * Compares an unused image with the other host's image as of the switchover. Equal content counts as equal. Differing
 * pieces may have been written since: the other hypervisor, which tracks writes, is asked after everything was read.
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
    for (const index of (await far.differ(PIECE_BYTES, at, hashes)).differ) {
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

/**
 * Differing chunks; the next ones are read while the other host checks these. Ranges that are zero in both hosts'
 * maps are neither read nor sent, because a thin image may be huge.
 */
async function differing(
  near: ImageReader,
  far: FarImage,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const found: number[] = [];
  const step = MAX_HASHES * CHUNK_BYTES;
  const read = (from: number): Promise<string[]> =>
    hashesOf(near, { from, unit: CHUNK_BYTES, count: MAX_HASHES }, signal);
  let next = read(0);
  for (let from = 0; from < near.size;) {
    const hashes = await next;
    const end = from + step;
    const asked = far.differ(CHUNK_BYTES, from, hashes);
    // If one of the two fails, the other is not awaited.
    asked.catch(() => undefined);
    const zeroHere = end < near.size ? ((await near.zeroUntil?.(end, signal)) ?? end) : end;
    const ahead = wholeChunks(zeroHere, near.size) > end ? undefined : read(end);
    ahead?.catch(() => undefined);
    const { differ, zeroUntil = end } = await asked;
    for (const index of differ) found.push(from + index * CHUNK_BYTES);
    from = Math.max(end, wholeChunks(Math.min(zeroHere, zeroUntil), near.size));
    next = from === end && ahead !== undefined ? ahead : read(from);
  }
  return found;
}

function wholeChunks(until: number, size: number): number {
  return until >= size ? size : until - (until % CHUNK_BYTES);
}
