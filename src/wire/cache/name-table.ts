export interface Spot {
  readonly file: number;
  readonly page: number;
}

const NAME_WORDS = 4;
const MIN_CELLS = 1024;

/**
 * Maps 16-byte names to spots in flat arrays: about 50 bytes per entry, a fraction of a Map. Open addressing;
 * names are keyed hashes, so their first word is evenly distributed.
 */
export class NameTable {
  #cells = MIN_CELLS;
  #names = new Uint32Array(MIN_CELLS * NAME_WORDS);
  /** File number + 1; 0 marks an empty cell. */
  #files = new Uint32Array(MIN_CELLS);
  #pages = new Uint32Array(MIN_CELLS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(name: Uint8Array): Spot | undefined {
    const cell = this.#find(wordsOf(name));
    const file = this.#files[cell] ?? 0;
    return file === 0 ? undefined : { file: file - 1, page: this.#pages[cell] ?? 0 };
  }

  set(name: Uint8Array, { file, page }: Spot): void {
    if ((this.#size + 1) * 2 > this.#cells) this.#grow();
    const words = wordsOf(name);
    const cell = this.#find(words);
    if (this.#files[cell] === 0) this.#size += 1;
    this.#names.set(words, cell * NAME_WORDS);
    this.#files[cell] = file + 1;
    this.#pages[cell] = page;
  }

  delete(name: Uint8Array): boolean {
    let hole = this.#find(wordsOf(name));
    if (this.#files[hole] === 0) return false;
    this.#size -= 1;
    // Moves later entries of the probe sequence up, so that no search ends early.
    for (let at = this.#after(hole); this.#files[at] !== 0; at = this.#after(at)) {
      const home = (this.#names[at * NAME_WORDS] ?? 0) & (this.#cells - 1);
      const reach = (at - home) & (this.#cells - 1);
      if (((at - hole) & (this.#cells - 1)) <= reach) {
        this.#move(at, hole);
        hole = at;
      }
    }
    this.#files[hole] = 0;
    return true;
  }

  /** Cell of the name, or the empty cell for it. */
  #find(words: Uint32Array): number {
    let cell = (words[0] ?? 0) & (this.#cells - 1);
    while (this.#files[cell] !== 0) {
      const at = cell * NAME_WORDS;
      const same =
        this.#names[at] === words[0] &&
        this.#names[at + 1] === words[1] &&
        this.#names[at + 2] === words[2] &&
        this.#names[at + 3] === words[3];
      if (same) return cell;
      cell = this.#after(cell);
    }
    return cell;
  }

  #after(cell: number): number {
    return (cell + 1) & (this.#cells - 1);
  }

  #move(from: number, to: number): void {
    const at = from * NAME_WORDS;
    this.#names.copyWithin(to * NAME_WORDS, at, at + NAME_WORDS);
    this.#files[to] = this.#files[from] ?? 0;
    this.#pages[to] = this.#pages[from] ?? 0;
  }

  #grow(): void {
    const [names, files, pages] = [this.#names, this.#files, this.#pages];
    this.#cells *= 2;
    this.#names = new Uint32Array(this.#cells * NAME_WORDS);
    this.#files = new Uint32Array(this.#cells);
    this.#pages = new Uint32Array(this.#cells);
    for (const [old, file] of files.entries()) {
      if (file === 0) continue;
      const words = names.subarray(old * NAME_WORDS, (old + 1) * NAME_WORDS);
      const cell = this.#find(words);
      this.#names.set(words, cell * NAME_WORDS);
      this.#files[cell] = file;
      this.#pages[cell] = pages[old] ?? 0;
    }
  }
}

const scratch = new Uint32Array(NAME_WORDS);
const scratchBytes = new Uint8Array(scratch.buffer);

function wordsOf(name: Uint8Array): Uint32Array {
  scratchBytes.set(name);
  return scratch;
}
