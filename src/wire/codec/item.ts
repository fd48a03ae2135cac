/** What the codec takes and gives back, in order: pages of known blocks, and bytes that it does not look into. */
export type Item =
  | {
      readonly kind: 'page';
      /** The block's number: below MAX_BLOCKS, given by whoever reads the stream. */
      readonly block: number;
      /** Bytes from the block's start: a multiple of PAGE_BYTES. */
      readonly offset: number;
      /** Exactly PAGE_BYTES. */
      readonly bytes: Uint8Array;
    }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

export const PAGE_BYTES = 4096;
export const MAX_BLOCKS = 4096;
/** 2^40 pages: 4 PiB a block; a block and a page together stay an exact double. */
export const MAX_BLOCK_PAGES = 2 ** 40;

/** Where a page lies, as one number. */
export function placeOf(block: number, page: number): number {
  return block * MAX_BLOCK_PAGES + page;
}

/** The page's number in its block; throws where the item is not what the codec takes. */
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
