/** When a row was written, and under which lease. */
export interface Written {
  readonly changed_at: number;
  readonly epoch: number;
}

interface Parsed<T> extends Written {
  readonly text: string;
  readonly value: T;
  /** By the clock of the database. */
  readonly readAtMs: number;
}

/** A row that was read sooner after it was written may have been written again in the same millisecond. */
const SURE_MS = 1000;

/**
 * The texts of a table's rows, parsed, as of the last reading. Most of a fleet stays as it is: of the rows of the next
 * reading only those that were written since are read with their text, and only another text is parsed.
 */
export class ParsedRows<T> {
  readonly #parse: (text: string) => T;
  #known = new Map<string, Parsed<T>>();

  constructor(parse: (text: string) => T) {
    this.#parse = parse;
  }

  /** Whether the text of this row has to be read. */
  isNew(key: string, { changed_at: at, epoch }: Written): boolean {
    const known = this.#known.get(key);
    return (
      known === undefined ||
      known.changed_at !== at ||
      known.epoch !== epoch ||
      known.readAtMs - at < SURE_MS
    );
  }

  read(key: string, { changed_at, epoch }: Written, text: string, readAtMs: number): void {
    const known = this.#known.get(key);
    const value = known?.text === text ? known.value : this.#parse(text);
    this.#known.set(key, { changed_at, epoch, text, value, readAtMs });
  }

  valueOf(key: string): T | undefined {
    return this.#known.get(key)?.value;
  }

  forget(key: string): void {
    this.#known.delete(key);
  }

  /** Forgets the rows that are there no more. As many as are known are those. */
  keep(keys: readonly string[]): void {
    if (keys.length === this.#known.size) return;
    const there = new Set(keys);
    for (const key of this.#known.keys()) if (!there.has(key)) this.#known.delete(key);
  }
}
