import { crc32 } from 'node:zlib';
import { PAGE } from './memory.ts';

/**
 * Which pages of a process changed since they were last looked at, by a CRC-32 of each at its address. Pure.
 *
 * Two contents may have the same CRC: such a page is taken for unchanged here. Only rounds while the container runs may go
 * by that, since the dump in the freeze compares each page by its SHA-256, and sends what a round left out.
 */

const SPAN_PAGES = 1024;

export class ChangedPages {
  /** By where a span begins; in the order in which its pages are. A page that was never seen has NaN. */
  readonly #spans = new Map<number, Float64Array>();

  /** Those of the pages from this address on that changed, together where they lie beside one another. */
  of(pages: Buffer, from: number): Buffer[] {
    const changed: Buffer[] = [];
    let first = -1;
    const count = pages.length / PAGE;
    for (let index = 0; index < count; index += 1) {
      const at = index * PAGE;
      if (this.#isNew(from / PAGE + index, crc32(pages.subarray(at, at + PAGE)))) {
        if (first === -1) first = at;
        continue;
      }
      if (first !== -1) changed.push(pages.subarray(first, at));
      first = -1;
    }
    if (first !== -1) changed.push(pages.subarray(first));
    return changed;
  }

  #isNew(page: number, sum: number): boolean {
    const place = page % SPAN_PAGES;
    let span = this.#spans.get(page - place);
    if (span === undefined) {
      span = new Float64Array(SPAN_PAGES).fill(Number.NaN);
      this.#spans.set(page - place, span);
    }
    const isNew = span[place] !== sum;
    span[place] = sum;
    return isNew;
  }
}
