import { isPowerOfTwo, isPrintable, text, u64 } from './fields.ts';
import { MAX_BLOCKS, MIN_HOST_PAGE_BYTES } from './format.ts';
import type { RamBlock } from './types.ts';

export interface ListOptions {
  /** Post-copy was advised: a block's page size may follow. */
  readonly advised: boolean;
  /** Capability x-ignore-shared: the block's guest address follows. */
  readonly guestAddress: boolean;
}

const LARGEST_HOST_PAGE = 2 ** 40;

/** List of RAM blocks, which ends when their lengths reach the announced sum. */
export class BlockListReader {
  #leftBytes = 0;
  blocks: RamBlock[] = [];

  begin(totalBytes: number): void {
    this.#leftBytes = totalBytes;
    this.blocks = [];
  }

  get complete(): boolean {
    return this.#leftBytes === 0;
  }

  /** Reads one entry: returns its length, 0 if it is invalid, or minus the bytes that it needs. */
  take(bytes: Uint8Array, at: number, end: number, options: ListOptions): number {
    const { advised, guestAddress } = options;
    const length = bytes[at] ?? 0;
    const nameEnd = at + 1 + length;
    if (length === 0 || !isPrintable(bytes, at + 1, Math.min(end, nameEnd))) return 0;
    // The following bytes show whether there is a page size; there is always a block or the section's end.
    const looked = nameEnd + 8 + (advised ? 8 : 0) + (guestAddress ? 8 : 0);
    if (end < looked) return at - looked;
    const usedBytes = u64(bytes, nameEnd);
    if (usedBytes > this.#leftBytes || this.blocks.length === MAX_BLOCKS) return 0;
    const sized = advised && hasPageSize(bytes, nameEnd + 8, guestAddress);
    const size = sized ? { pageBytes: u64(bytes, nameEnd + 8) } : {};
    const name = text(bytes, at + 1, nameEnd);
    this.blocks.push({ index: this.blocks.length, name, usedBytes, ...size });
    this.#leftBytes -= usedBytes;
    return nameEnd + 8 + (sized ? 8 : 0) + (guestAddress ? 8 : 0) - at;
  }
}

/**
 * A page size is a power of two: with a name's length in its place the value would be huge, with a record's it
 * would be smaller.
 */
function hasPageSize(bytes: Uint8Array, at: number, guestAddress: boolean): boolean {
  const size = u64(bytes, at);
  if (size < MIN_HOST_PAGE_BYTES || size > LARGEST_HOST_PAGE || !isPowerOfTwo(size)) return false;
  if (!guestAddress) return true;
  // A single number is the address, followed by the next block or a record.
  const address = u64(bytes, at + 8);
  return Number.isSafeInteger(address) && address % MIN_HOST_PAGE_BYTES === 0;
}
