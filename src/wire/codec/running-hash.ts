import type { Hash64 } from './contents.ts';

/**
 * Hash over everything decoded: each item's place and hash, and the previous batch's hash. Both sides compute it
 * from their contents instead of the wire's bytes, so a wrong reference is detected in its batch.
 */
export class RunningHash {
  readonly #hash64: Hash64;
  readonly #bytes: Uint8Array;
  readonly #places: Float64Array;
  readonly #hashes: BigUint64Array;
  #items = 0;

  constructor(hash64: Hash64, batchItems: number) {
    const buffer = new ArrayBuffer((batchItems + 1) * 16);
    this.#hash64 = hash64;
    this.#bytes = new Uint8Array(buffer);
    this.#places = new Float64Array(buffer);
    this.#hashes = new BigUint64Array(buffer);
  }

  /** `hash` of a zero page is 0n, which saves reading 4 KiB of zeros. */
  page(place: number, hash: bigint): void {
    this.#items += 1;
    this.#places[this.#items * 2] = place;
    this.#hashes[this.#items * 2 + 1] = hash;
  }

  opaque(bytes: Uint8Array): void {
    this.page(-1 - bytes.length, this.#hash64(bytes));
  }

  close(): bigint {
    const value = this.#hash64(this.#bytes.subarray(0, (this.#items + 1) * 16));
    this.#hashes[0] = value;
    this.#items = 0;
    return value;
  }
}
