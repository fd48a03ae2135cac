import { crc32 } from 'node:zlib';
import { PAGE } from './memory.ts';

/**
 * Finds changed pages of a process by a CRC-32 of each page at its address. Pure.
 *
 * Two contents may have the same CRC, so that a changed page is missed. Only rounds of a running container may
 * use this: the final dump compares each page's SHA-256 and sends the missed pages.
 */

const SPAN_PAGES = 1024;

export class ChangedPages {
  /** Keys are the span's start, in page order. NaN for an unseen page. */
  readonly #spans = new Map<number, Float64Array>();

  /** Changed pages among these, adjacent ones together. */
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
