import type { Hash64 } from './contents.ts';

/**
 * The hash over all that was decoded so far: of each item its place and the hash of its bytes, of each batch
 * the hash over those and over the batch before. Both sides make it from what they hold, not from what
 * travelled, so a wrong reference shows in the batch that holds it.
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

  /** `hash` of a zero page is 0n: nobody need read 4 KiB of zeros for it. */
  page(place: number, hash: bigint): void {
    this.#items += 1;
    this.#places[this.#items * 2] = place;
    this.#hashes[this.#items * 2 + 1] = hash;
  }

  opaque(bytes: Uint8Array): void {
    this.page(-1 - bytes.length, this.#hash64(bytes));
  }

  /** Ends the batch; the value is the hash so far. */
  close(): bigint {
    const value = this.#hash64(this.#bytes.subarray(0, (this.#items + 1) * 16));
    this.#hashes[0] = value;
    this.#items = 0;
    return value;
  }
}
