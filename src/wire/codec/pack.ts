import type { Item } from './item.ts';

/**
 * Items in memory shared by two threads: one copy to fill it, none to send it, and nothing for the garbage
 * collectors. Only the present owner of the pack may access it.
 */
export interface Pack {
  /** PACK_BYTES of item data, then the table. */
  readonly memory: SharedArrayBuffer;
  readonly items: number;
}

/** Table columns per item: 1 for a page, block, offset, length. */
const ROW = 4;
const PACK_BYTES = 256 * 1024;
const PACK_ITEMS = 1024;
const MEMORY_BYTES = PACK_BYTES + PACK_ITEMS * ROW * Float64Array.BYTES_PER_ELEMENT;

const MAX_SPARE = 8;

/** Fills packs. A larger item, which must be opaque bytes, is split. */
export class Packer {
  #memory = new SharedArrayBuffer(MEMORY_BYTES);
  #bytes = new Uint8Array(this.#memory, 0, PACK_BYTES);
  #table = new Float64Array(this.#memory, PACK_BYTES);
  #length = 0;
  #items = 0;
  readonly #spare: SharedArrayBuffer[] = [];

  recycle(memory: SharedArrayBuffer): void {
    if (memory.byteLength === MEMORY_BYTES && this.#spare.length < MAX_SPARE) {
      this.#spare.push(memory);
    }
  }

  get empty(): boolean {
    return this.#items === 0;
  }

  add(item: Item): readonly Pack[] {
    if (item.kind === 'bytes') return this.#addBytes(item.bytes);
    const full = this.#makeRoom(item.bytes.length);
    this.#put(item.bytes, 1, item.block, item.offset);
    return full;
  }

  take(): Pack {
    const pack = { memory: this.#memory, items: this.#items };
    this.#memory = this.#spare.pop() ?? new SharedArrayBuffer(MEMORY_BYTES);
    this.#bytes = new Uint8Array(this.#memory, 0, PACK_BYTES);
    this.#table = new Float64Array(this.#memory, PACK_BYTES);
    this.#length = 0;
    this.#items = 0;
    return pack;
  }

  #addBytes(bytes: Uint8Array): readonly Pack[] {
    const full: Pack[] = [];
    let at = 0;
    do {
      full.push(...this.#makeRoom(1));
      const piece = bytes.subarray(at, at + PACK_BYTES - this.#length);
      this.#put(piece, 0, 0, 0);
      at += piece.length;
    } while (at < bytes.length);
    return full;
  }

  #makeRoom(bytes: number): readonly Pack[] {
    const room = PACK_BYTES - this.#length >= bytes && this.#items < PACK_ITEMS;
    return room ? NONE : [this.take()];
  }

  #put(bytes: Uint8Array, page: number, block: number, offset: number): void {
    const row = this.#items * ROW;
    this.#table[row] = page;
    this.#table[row + 1] = block;
    this.#table[row + 2] = offset;
    this.#table[row + 3] = bytes.length;
    this.#bytes.set(bytes, this.#length);
    this.#items += 1;
    this.#length += bytes.length;
  }
}

const NONE: readonly Pack[] = [];

export function* unpack({ memory, items }: Pack): Generator<Item> {
  const table = new Float64Array(memory, PACK_BYTES);
  let start = 0;
  for (let row = 0; row < items * ROW; row += ROW) {
    const length = table[row + 3] ?? 0;
    const bytes = new Uint8Array(memory, start, length);
    start += length;
    yield table[row] === 1
      ? { kind: 'page', block: table[row + 1] ?? 0, offset: table[row + 2] ?? 0, bytes }
      : { kind: 'bytes', bytes };
  }
}
