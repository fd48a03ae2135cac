import { BadFrame, Reader, type Writer } from './bytes.ts';
import { MAX_BLOCK_PAGES, MAX_BLOCKS } from './item.ts';
import { ID_BYTES } from './settings.ts';

/** Encodings of a page or of opaque bytes. The numbers are on the wire: never change a meaning. */
export const KINDS = {
  bytes: 0,
  zero: 1,
  literal: 2,
  /** Equal to this place's version in the window. */
  same: 3,
  delta: 4,
  /** Equal to a page at a distance back in the window. */
  repeat: 5,
  /** Content by name. */
  cached: 6,
  /** Content that the far side has for this place from an earlier session. */
  base: 7,
  deltaOfBase: 8,
  /** Literal with absolute branch targets. */
  code: 9,
} as const;
export type Kind = keyof typeof KINDS;
const NAMES = Object.keys(KINDS) as Kind[];

/** Set if a record has its place; otherwise it follows the previous page. */
const PLACED = 0x80;
const MAX_RUN = 0xffff;

/** Consecutive pages with the same encoding. */
export interface Run {
  readonly kind: Kind;
  readonly block: number;
  readonly page: number;
  readonly count: number;
  /** One per page: distances of `repeat`, lengths of bytes. */
  readonly numbers: readonly number[];
  /** Names of `cached`: ID_BYTES per page. */
  readonly names: Buffer;
}

export class RunWriter {
  readonly #out: Writer;
  #kind: Kind = 'bytes';
  #block = 0;
  #next = 0;
  #count = 0;
  #countAt = 0;

  constructor(out: Writer) {
    this.#out = out;
  }

  /** Adds a page; its operand, if any, is written right after. */
  page(kind: Kind, block: number, page: number): void {
    const follows = block === this.#block && page === this.#next;
    if (!follows || kind !== this.#kind || this.#count === 0 || this.#count === MAX_RUN) {
      this.end();
      this.#out.u8(KINDS[kind] | (follows ? 0 : PLACED));
      if (!follows) {
        this.#out.number(block);
        this.#out.number(page);
      }
      this.#kind = kind;
      this.#countAt = this.#out.reserve();
    }
    this.#block = block;
    this.#next = page + 1;
    this.#count += 1;
  }

  bytes(length: number): void {
    this.end();
    this.#out.u8(KINDS.bytes);
    this.#out.number(length);
  }

  end(): void {
    if (this.#count > 0) this.#out.patch(this.#countAt, this.#count);
    this.#count = 0;
  }
}

/** Reads a batch's records; keeps the place across batches like RunWriter. */
export class RunReader {
  #block = 0;
  #next = 0;

  /** All runs; throws BadFrame unless they have exactly `items` and use all bytes. */
  read(records: Buffer, items: number): Run[] {
    const reader = new Reader(records);
    const runs: Run[] = [];
    let left = items;
    while (reader.left > 0) {
      const run = this.#run(reader, left);
      left -= run.kind === 'bytes' ? 1 : run.count;
      runs.push(run);
    }
    if (left !== 0) throw new BadFrame(`it has ${items - left} items, not ${items}`);
    return runs;
  }

  #run(reader: Reader, left: number): Run {
    const head = reader.u8();
    const kind = NAMES[head & ~PLACED];
    if (kind === undefined) throw new BadFrame(`record kind ${head & ~PLACED} is unknown`);
    const none = { numbers: [], names: Buffer.alloc(0) };
    if (kind === 'bytes') {
      if (left < 1) throw new BadFrame('it has more items than it says');
      return { ...none, kind, block: 0, page: 0, count: 1, numbers: [reader.number()] };
    }
    const block = head & PLACED ? reader.number() : this.#block;
    const page = head & PLACED ? reader.number() : this.#next;
    const count = reader.u16();
    if (count === 0 || count > left) throw new BadFrame(`a run of ${count} pages, ${left} left`);
    if (block >= MAX_BLOCKS || page + count > MAX_BLOCK_PAGES) {
      throw new BadFrame(`block ${block}, page ${page} is no place`);
    }
    this.#block = block;
    this.#next = page + count;
    if (kind === 'repeat') {
      const numbers = Array.from({ length: count }, () => reader.number());
      return { ...none, kind, block, page, count, numbers };
    }
    if (kind === 'cached') {
      return { ...none, kind, block, page, count, names: reader.bytes(count * ID_BYTES) };
    }
    return { ...none, kind, block, page, count };
  }
}
