import { PAGE_BYTES } from './item.ts';

/**
 * Recently sent contents, equal on both sides: a ring of pages numbered from 1. A reference is a number, so the
 * far side needs no hash. The near side compares bytes before it refers: a collision costs a miss, never a wrong
 * page.
 */
export class Window {
  readonly pages: number;
  #next = 1;
  readonly #bytes: Buffer;

  constructor(pages: number) {
    this.pages = pages;
    this.#bytes = Buffer.alloc(pages * PAGE_BYTES);
  }

  get next(): number {
    return this.#next;
  }

  holds(number: number): boolean {
    return number > 0 && number < this.#next && this.#next - number <= this.pages;
  }

  /** View of the page, which changes after `pages` more were added. Only for a number in the window. */
  at(number: number): Buffer {
    const start = (number % this.pages) * PAGE_BYTES;
    return this.#bytes.subarray(start, start + PAGE_BYTES);
  }

  /** True if that number is in the window and has this page. */
  same(number: number, page: Uint8Array): boolean {
    if (!this.holds(number)) return false;
    const start = (number % this.pages) * PAGE_BYTES;
    return this.#bytes.compare(page, 0, PAGE_BYTES, start, start + PAGE_BYTES) === 0;
  }

  put(page: Uint8Array): number {
    const number = this.#next;
    this.#bytes.set(page, (number % this.pages) * PAGE_BYTES);
    this.#next += 1;
    return number;
  }
}

/**
 * Maps a place or hash to a window number: a table of fixed size in which newer entries replace older ones. Both
 * sides' tables are equal, since they follow from the sent data.
 */
export class NumberTable {
  readonly #keys: Float64Array;
  readonly #numbers: Float64Array;
  readonly #mask: number;

  /** `cells` is rounded up to a power of two. */
  constructor(cells: number) {
    const size = 2 ** Math.ceil(Math.log2(Math.max(2, cells)));
    this.#keys = new Float64Array(size).fill(-1);
    this.#numbers = new Float64Array(size);
    this.#mask = size - 1;
  }

  #cell(key: number): number {
    return ((key >>> 0) ^ Math.imul(key / 2 ** 32, 0x9e3779b1)) & this.#mask;
  }

  get(key: number): number {
    const cell = this.#cell(key);
    return this.#keys[cell] === key ? (this.#numbers[cell] ?? 0) : 0;
  }

  set(key: number, number: number): void {
    const cell = this.#cell(key);
    this.#keys[cell] = key;
    this.#numbers[cell] = number;
  }
}
