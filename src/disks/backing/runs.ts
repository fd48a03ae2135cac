/**
 * Node has no SEEK_HOLE, so holes are read; the kernel returns zeros without storage access. Zero blocks are skipped,
 * whether holes or not, which also makes the copy thin.
 */

/** Block of most file systems; smaller holes save no space. */
const BLOCK_BYTES = 4096;
/** Maximum data of a message, without its header. */
export const MAX_RUN_BYTES = 7 * BLOCK_BYTES;
const ZEROES = Buffer.alloc(BLOCK_BYTES);

export interface Run {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Nonzero parts of `buffer` (at `offset` of a file), as views in order. Pure. */
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
