/**
 * Peer's numbers of pages, by the first half of their SHA-256. Pure.
 *
 * A JavaScript Map is limited to 2^24 entries, 64 GiB of pages. This holds as many as the wire has numbers, at
 * 20 bytes per slot with at most three quarters in use. Many tables keep the pause of a growing one short.
 */

const TABLES = 256;
const FIRST_PLACES = 64;
/** Four words of key, and the number plus one; 0 marks a free slot. */
const WORDS = 5;
const KEY_BYTES = 16;

export class PageNumbers {
  readonly #tables: Table[] = [];
  #size = 0;

  constructor() {
    for (let index = 0; index < TABLES; index += 1) this.#tables.push(new Table());
  }

  get size(): number {
    return this.#size;
  }

  get(digests: Buffer, at = 0): number | undefined {
    return this.#tableOf(digests, at).get(digests, at);
  }

  add(digests: Buffer, at = 0): number {
    const number = this.#size;
    this.#tableOf(digests, at).add(digests, at, number);
    this.#size += 1;
    return number;
  }

  #tableOf(digests: Buffer, at: number): Table {
    if (digests.length < at + KEY_BYTES)
      throw new Error(`a digest of ${digests.length - at} bytes`);
    return this.#tables[digests[at] ?? 0] as Table;
  }
}

/** Open addressing with linear probing. */
class Table {
  #words = new Uint32Array(FIRST_PLACES * WORDS);
  #places = FIRST_PLACES;
  #taken = 0;

  get(digests: Buffer, from: number): number | undefined {
    const said = this.#words[this.#find(digests, from) + 4] ?? 0;
    return said === 0 ? undefined : said - 1;
  }

  add(digests: Buffer, from: number, number: number): void {
    if (this.#taken + 1 > this.#places * 0.75) this.#grow();
    const at = this.#find(digests, from);
    for (let word = 0; word < 4; word += 1)
      this.#words[at + word] = digests.readUInt32LE(from + word * 4);
    this.#words[at + 4] = number + 1;
    this.#taken += 1;
  }

  #find(digests: Buffer, from: number): number {
    const one = digests.readUInt32LE(from);
    const two = digests.readUInt32LE(from + 4);
    const three = digests.readUInt32LE(from + 8);
    const four = digests.readUInt32LE(from + 12);
    const words = this.#words;
    let place = two % this.#places;
    for (;;) {
      const at = place * WORDS;
      if (words[at + 4] === 0) return at;
      const isSame =
        words[at] === one &&
        words[at + 1] === two &&
        words[at + 2] === three &&
        words[at + 3] === four;
      if (isSame) return at;
      place = place + 1 === this.#places ? 0 : place + 1;
    }
  }

  #grow(): void {
    const before = this.#words;
    this.#places *= 2;
    this.#words = new Uint32Array(this.#places * WORDS);
    for (let from = 0; from < before.length; from += WORDS) {
      if (before[from + 4] === 0) continue;
      let place = (before[from + 1] ?? 0) % this.#places;
      while (this.#words[place * WORDS + 4] !== 0)
        place = place + 1 === this.#places ? 0 : place + 1;
      this.#words.set(before.subarray(from, from + WORDS), place * WORDS);
    }
  }
}
