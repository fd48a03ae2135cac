import { PAGE } from '../pages/memory.ts';

/** Sources of a process's missing pages. Pure. */

/** Pages that are contiguous in memory and in a page file. */
export interface Span {
  readonly from: number;
  readonly pages: number;
  readonly file: number;
  readonly at: number;
}

export interface Source {
  readonly file: number;
  readonly page: number;
}

export class AddressSpace {
  /** Sorted by address, without overlaps. */
  #spans: Span[];

  constructor(spans: readonly Span[]) {
    this.#spans = [...spans].sort((left, right) => left.from - right.from);
  }

  /** Snapshot: later drops and moves do not change it. */
  get spans(): readonly Span[] {
    return [...this.#spans];
  }

  get isEmpty(): boolean {
    return this.#spans.length === 0;
  }

  /** Undefined if the page is zero or already present. */
  find(address: number): Source | undefined {
    const span = this.#spans[this.#first(address)];
    if (span === undefined || span.from > address) return undefined;
    return { file: span.file, page: span.at + Math.floor((address - span.from) / PAGE) };
  }

  /** The pages are no longer needed: they have arrived or were unmapped. */
  drop(from: number, to: number): void {
    this.#cut(from, to);
  }

  move(from: number, to: number, bytes: number): void {
    const moved = this.#cut(from, from + bytes);
    this.#cut(to, to + bytes);
    const placed = moved.map((span) => ({ ...span, from: span.from - from + to }));
    const index = this.#first(to);
    this.#spans.splice(index, 0, ...placed);
  }

  copy(): AddressSpace {
    return new AddressSpace(this.#spans);
  }

  #first(address: number): number {
    let [low, high] = [0, this.#spans.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const span = this.#spans[middle];
      if (span !== undefined && span.from + span.pages * PAGE > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #cut(from: number, to: number): Span[] {
    const taken: Span[] = [];
    const left: Span[] = [];
    const first = this.#first(from);
    let last = first;
    for (; last < this.#spans.length; last += 1) {
      const span = this.#spans[last];
      if (span === undefined || span.from >= to) break;
      const end = span.from + span.pages * PAGE;
      const [start, stop] = [Math.max(span.from, from), Math.min(end, to)];
      if (start > span.from) left.push(part(span, span.from, start));
      taken.push(part(span, start, stop));
      if (stop < end) left.push(part(span, stop, end));
    }
    this.#spans.splice(first, last - first, ...left);
    return taken;
  }
}

function part(span: Span, from: number, to: number): Span {
  const at = span.at + (from - span.from) / PAGE;
  return { from, pages: (to - from) / PAGE, file: span.file, at };
}
