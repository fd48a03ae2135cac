/** Words of 32 bits that one state is packed into. */
export const WORDS = 5;

/**
 * Every state that was seen, each once and in full: 20 bytes of state, 4 of parent, and a hash table of indices.
 * Nothing is compressed by hashing, so two states are never taken for one.
 */
export class StateStore {
  #words = new Int32Array(WORDS << 16);
  #parents = new Int32Array(1 << 16);
  #table = new Int32Array(1 << 17).fill(-1);
  count = 0;

  /** The index of the state in `words`, added if it is new. `added` says which. */
  add(words: Int32Array, parent: number): number {
    let slot = hash(words) & (this.#table.length - 1);
    for (;;) {
      const found = this.#table[slot]!;
      if (found < 0) break;
      if (this.#same(found, words)) return found;
      slot = (slot + 1) & (this.#table.length - 1);
    }
    const index = this.count;
    if (index === this.#parents.length) this.#grow();
    this.#words.set(words, index * WORDS);
    this.#parents[index] = parent;
    this.#table[slot] = index;
    this.count += 1;
    if (this.count * 2 > this.#table.length) this.#rehash();
    return index;
  }

  read(index: number, into: Int32Array): void {
    for (let word = 0; word < WORDS; word += 1) into[word] = this.#words[index * WORDS + word]!;
  }

  parent(index: number): number {
    return this.#parents[index]!;
  }

  #same(index: number, words: Int32Array): boolean {
    const at = index * WORDS;
    const all = this.#words;
    return (
      all[at] === words[0] &&
      all[at + 1] === words[1] &&
      all[at + 2] === words[2] &&
      all[at + 3] === words[3] &&
      all[at + 4] === words[4]
    );
  }

  #grow(): void {
    const words = new Int32Array(this.#words.length * 2);
    words.set(this.#words);
    this.#words = words;
    const parents = new Int32Array(this.#parents.length * 2);
    parents.set(this.#parents);
    this.#parents = parents;
  }

  #rehash(): void {
    const table = new Int32Array(this.#table.length * 2).fill(-1);
    const words = new Int32Array(WORDS);
    for (let index = 0; index < this.count; index += 1) {
      this.read(index, words);
      let slot = hash(words) & (table.length - 1);
      while (table[slot]! >= 0) slot = (slot + 1) & (table.length - 1);
      table[slot] = index;
    }
    this.#table = table;
  }
}

function hash(words: Int32Array): number {
  let value = 0x9e3779b9 | 0;
  for (let word = 0; word < WORDS; word += 1) {
    value = Math.imul(value ^ words[word]!, 0x85ebca6b);
    value ^= value >>> 15;
  }
  value = Math.imul(value, 0xc2b2ae35);
  return (value ^ (value >>> 13)) >>> 0;
}
