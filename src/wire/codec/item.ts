/** Input and output of the codec, in order: pages of known blocks, and opaque bytes. */
export type Item =
  | {
      readonly kind: 'page';
      /** Block number below MAX_BLOCKS, assigned by the stream's reader. */
      readonly block: number;
      /** Offset in the block, bytes: a multiple of PAGE_BYTES. */
      readonly offset: number;
      /** Exactly PAGE_BYTES. */
      readonly bytes: Uint8Array;
    }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

export const PAGE_BYTES = 4096;
export const MAX_BLOCKS = 4096;
/** 2^40 pages: 4 PiB per block; block and page together stay an exact double. */
export const MAX_BLOCK_PAGES = 2 ** 40;

export function placeOf(block: number, page: number): number {
  return block * MAX_BLOCK_PAGES + page;
}

/** Page number in its block; throws for an invalid item. */
export function pageNumber(block: number, offset: number, bytes: Uint8Array): number {
  const page = offset / PAGE_BYTES;
  const sound =
    bytes.length === PAGE_BYTES &&
    Number.isInteger(block) &&
    block >= 0 &&
    block < MAX_BLOCKS &&
    Number.isInteger(page) &&
    page >= 0 &&
    page < MAX_BLOCK_PAGES;
  if (!sound) {
    throw new RangeError(`no page: block ${block}, offset ${offset}, ${bytes.length} bytes`);
  }
  return page;
}
