import { DIGEST_BYTES, MOST_ASKED } from './frames.ts';
import { PAGE } from './memory.ts';

/** Pages of which the other end is to say whether it has them, and their digests. Used again for the next ones. */
export class AskedPages {
  /** The place after the last one is for the digest of the page that is looked at. */
  readonly digests = Buffer.alloc((MOST_ASKED + 1) * DIGEST_BYTES);
  readonly #pages = Buffer.allocUnsafe(MOST_ASKED * PAGE);
  count = 0;

  get isFull(): boolean {
    return this.count === MOST_ASKED;
  }

  /** Copies the page at `from`, whose digest is at the next place already. */
  take(pages: Buffer, from: number): void {
    pages.copy(this.#pages, this.count * PAGE, from, from + PAGE);
    this.count += 1;
  }

  page(index: number): Buffer {
    return this.#pages.subarray(index * PAGE, (index + 1) * PAGE);
  }

  /** A copy: it is sent while the next ones are looked at. */
  question(): Buffer {
    return Buffer.from(this.digests.subarray(0, this.count * DIGEST_BYTES));
  }
}
