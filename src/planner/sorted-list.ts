/** Half of a chunk's maximum: short enough to shift, long enough for few chunks. */
const CHUNK = 64;

/**
 * A sorted list with cheap insertion and removal at any size. `compare` is a strict order that stays constant for items
 * in the list.
 */
export class SortedList<Item> {
  readonly #compare: (left: Item, right: Item) => number;
  readonly #chunks: Item[][] = [];

  constructor(items: readonly Item[], compare: (left: Item, right: Item) => number) {
    this.#compare = compare;
    const sorted = items.toSorted(compare);
    for (let from = 0; from < sorted.length; from += CHUNK) {
      this.#chunks.push(sorted.slice(from, from + CHUNK));
    }
  }

  add(item: Item): void {
    const before = (each: Item): boolean => this.#compare(each, item) < 0;
    const [at, within] = this.#find(before);
    const chunk = this.#chunks[at] ?? this.#chunks.at(-1);
    if (chunk === undefined) {
      this.#chunks.push([item]);
      return;
    }
    chunk.splice(at < this.#chunks.length ? within : chunk.length, 0, item);
    if (chunk.length <= 2 * CHUNK) return;
    this.#chunks.splice(this.#chunks.indexOf(chunk) + 1, 0, chunk.splice(CHUNK));
  }

  remove(item: Item): void {
    const [at, within] = this.#find((each) => this.#compare(each, item) < 0);
    const chunk = this.#chunks[at];
    if (chunk?.[within] !== item) return;
    chunk.splice(within, 1);
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  first(): Item | undefined {
    return this.#chunks[0]?.[0];
  }

  /** Items in order, from the first one where `before` is false; it must be true for a prefix only. */
  *from(before: (item: Item) => boolean): Generator<Item, undefined> {
    const [at, within] = this.#find(before);
    for (let chunk = at; chunk < this.#chunks.length; chunk += 1) {
      const items = this.#chunks[chunk] ?? [];
      for (let place = chunk === at ? within : 0; place < items.length; place += 1) {
        const item = items[place];
        if (item !== undefined) yield item;
      }
    }
    return undefined;
  }

  #find(before: (item: Item) => boolean): [number, number] {
    const isBefore = (item: Item | undefined): boolean => item !== undefined && before(item);
    const at = firstNot(this.#chunks.length, (chunk) => isBefore(this.#chunks[chunk]?.at(-1)));
    const items = this.#chunks[at] ?? [];
    return [at, firstNot(items.length, (place) => isBefore(items[place]))];
  }
}

/** The first number below `count` where `holds` is false, or `count`. Binary search. */
function firstNot(count: number, holds: (at: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
