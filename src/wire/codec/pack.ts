import type { Item } from './item.ts';

/** Items in one buffer that a thread hands to another: no copy when it goes, one when it is filled. */
export interface Pack {
  readonly bytes: ArrayBuffer;
  /** Four numbers an item: 1 for a page, its block, its offset; then its length. */
  readonly table: Float64Array<ArrayBuffer>;
}

const ROW = 4;
export const PACK_BYTES = 256 * 1024;
const PACK_ITEMS = 1024;

/** Buffers that are kept to be filled again: fresh ones cost their first use, and a garbage collection now and then. */
const MOST_SPARE = 8;

/** Fills packs. An item larger than one, which only opaque bytes can be, is cut. */
export class Packer {
  #bytes = new Uint8Array(PACK_BYTES);
  #table = new Float64Array(PACK_ITEMS * ROW);
  #length = 0;
  #items = 0;
  readonly #spare: ArrayBuffer[] = [];

  /** Takes the buffer of a pack that was read. */
  recycle(bytes: ArrayBuffer): void {
    if (bytes.byteLength === PACK_BYTES && this.#spare.length < MOST_SPARE) this.#spare.push(bytes);
  }

  get empty(): boolean {
    return this.#items === 0;
  }

  /** Packs that this item filled. */
  add(item: Item): Pack[] {
    const full: Pack[] = [];
    let at = 0;
    do {
      const left = item.bytes.length - at;
      const whole = item.kind === 'page' ? left : 1;
      const room = PACK_BYTES - this.#length >= whole && this.#items < PACK_ITEMS;
      if (!room) full.push(this.take());
      const piece = item.bytes.subarray(at, at + PACK_BYTES - this.#length);
      const place = item.kind === 'page' ? [1, item.block, item.offset] : [0, 0, 0];
      this.#table.set([...place, piece.length], this.#items * ROW);
      this.#bytes.set(piece, this.#length);
      this.#items += 1;
      this.#length += piece.length;
      at += piece.length;
    } while (at < item.bytes.length);
    return full;
  }

  /** What was added since. */
  take(): Pack {
    const pack = { bytes: this.#bytes.buffer, table: this.#table.slice(0, this.#items * ROW) };
    this.#bytes = new Uint8Array(this.#spare.pop() ?? new ArrayBuffer(PACK_BYTES));
    this.#length = 0;
    this.#items = 0;
    return pack;
  }
}

export function* unpack({ bytes, table }: Pack): Generator<Item> {
  let start = 0;
  for (let row = 0; row < table.length; row += ROW) {
    const length = table[row + 3] ?? 0;
    const piece = new Uint8Array(bytes, start, length);
    start += length;
    yield table[row] === 1
      ? { kind: 'page', block: table[row + 1] ?? 0, offset: table[row + 2] ?? 0, bytes: piece }
      : { kind: 'bytes', bytes: piece };
  }
}
