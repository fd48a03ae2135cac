/**
 * Node has no SEEK_HOLE, so holes are read: the kernel gives zeroes for them without touching the storage, at the speed
 * of memory. Blocks of zeroes are left out wherever they come from, which also makes a copy thin of a file that is not.
 */

/** Of most file systems: a smaller hole takes as much room as none. */
const BLOCK_BYTES = 4096;
/** A message carries at most this much, and its head. */
export const MAX_RUN_BYTES = 7 * BLOCK_BYTES;
const ZEROES = Buffer.alloc(BLOCK_BYTES);

export interface Run {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** The parts of `buffer`, which lies at `offset` of a file, that are not zeroes; they are views of it, in order. Pure. */
export function* runsOf(buffer: Buffer, offset: number): Generator<Run, void, undefined> {
  let start = 0;
  let at = 0;
  const flush = (): Run => ({ offset: offset + start, bytes: buffer.subarray(start, at) });
  while (at < buffer.length) {
    const block = buffer.subarray(at, at + BLOCK_BYTES);
    const isZero = block.equals(ZEROES.subarray(0, block.length));
    if (isZero || at - start + block.length > MAX_RUN_BYTES) {
      if (at > start) yield flush();
      start = isZero ? at + block.length : at;
    }
    at += block.length;
  }
  if (at > start) yield flush();
}
