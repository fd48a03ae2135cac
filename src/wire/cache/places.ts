import { createHash, hash } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { placeOf } from '../codec/item.ts';
import { ID_BYTES } from '../codec/settings.ts';

/** 24 bytes each: a guest of 4 GiB in 24 MB. A larger one keeps the places that were encoded last. */
export const PLACE_CELLS = 2 ** 20;
const DIGEST_BYTES = 32;
const LEAST_CELLS = 1024;

/**
 * The name of what each place of a guest held when it was last encoded in full. Both sides set the same in the
 * same order, so theirs are alike; kept after the migration, they let a guest that returns be encoded by what
 * is still as it was. Newer entries take the cells of older ones.
 */
export class Places {
  readonly #cells: number;
  readonly #keys: Float64Array;
  readonly #names: Buffer;

  private constructor(keys: Float64Array, names: Buffer) {
    this.#cells = keys.length;
    this.#keys = keys;
    this.#names = names;
  }

  /** `cells` is a power of two, and the far side's too. */
  static empty(cells = PLACE_CELLS): Places {
    return new Places(new Float64Array(cells).fill(-1), Buffer.alloc(cells * ID_BYTES));
  }

  /** What `save` has written; undefined where that is not whole. */
  static load(file: string, cells = PLACE_CELLS): Places | undefined {
    let bytes: Buffer;
    try {
      bytes = readFileSync(file);
    } catch {
      return undefined;
    }
    const keyBytes = cells * 8;
    const body = bytes.subarray(DIGEST_BYTES);
    const whole =
      body.length === keyBytes + cells * ID_BYTES &&
      hash('sha256', body, 'buffer').equals(bytes.subarray(0, DIGEST_BYTES));
    if (!whole) return undefined;
    const places = Places.empty(cells);
    Buffer.from(places.#keys.buffer).set(body.subarray(0, keyBytes));
    places.#names.set(body.subarray(keyBytes));
    return places;
  }

  get(block: number, page: number): Buffer | undefined {
    const key = placeOf(block, page);
    const cell = this.#cell(key);
    if (this.#keys[cell] !== key) return undefined;
    return this.#names.subarray(cell * ID_BYTES, (cell + 1) * ID_BYTES);
  }

  set(block: number, page: number, name: Uint8Array): void {
    const key = placeOf(block, page);
    const cell = this.#cell(key);
    this.#keys[cell] = key;
    this.#names.set(name, cell * ID_BYTES);
  }

  /** Alike on both sides exactly where their places are. */
  digest(): string {
    const keys = Buffer.from(this.#keys.buffer);
    return createHash('sha256').update(keys).update(this.#names).digest('hex');
  }

  /** Written whole or not at all. */
  save(file: string): void {
    const keys = Buffer.from(this.#keys.buffer);
    const parts = [Buffer.from(this.digest(), 'hex'), keys, this.#names];
    writeFileSync(`${file}.new`, Buffer.concat(parts), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  /** To start with: what lies in the file where the far side has the same, else nothing. */
  static agreed(of: { file: string; cells: number; farDigest: string } | undefined): Places {
    if (of === undefined) return Places.empty(LEAST_CELLS);
    const own = Places.load(of.file, of.cells);
    return own?.digest() === of.farDigest ? own : Places.empty(of.cells);
  }

  #cell(key: number): number {
    return ((key >>> 0) ^ Math.imul(key / 2 ** 32, 0x9e3779b1)) & (this.#cells - 1);
  }
}

/** What one side reports to the other of its places when a session starts; empty where it has none. */
export function placesDigest(file: string, cells: number): string {
  return Places.load(file, cells)?.digest() ?? '';
}
