import { randomBytes } from 'node:crypto';

/** Besides the events of a log: values of which only the newest counts, and which nobody asks for again. */
export interface Newest<N> {
  /** Counts up with each value. */
  readonly count: () => number;
  readonly newest: () => N | undefined;
  /** Whoever waits for the next value; each is called once and taken out. */
  readonly waiting: Set<() => void>;
}

/** What a log keeps at most. `bytes`: JSON of its events; the objects take a few times that. */
export interface EventLogBounds {
  readonly events: number;
  readonly bytes: number;
}

interface BufferedEvent<N> {
  readonly event: N & { readonly id: string };
  readonly bytes: number;
}

/** Dropped events leave empty places at the front of the list, which are removed together. */
const MAX_EMPTY = 1024;

/**
 * Events in order, each with an id by which a follower comes back. The newest are kept for that, within the bounds. The ids
 * of another run of the process, or of an event that was dropped, are answered with `lost`: then lists show the state.
 */
export class EventLog<N extends { readonly type: string }> {
  readonly #run = randomBytes(6).toString('hex');
  readonly #bounds: EventLogBounds;
  #kept: (BufferedEvent<N> | undefined)[] = [];
  /** Of `#kept`, the places before it are empty. */
  #first = 0;
  #count = 0;
  #bytes = 0;
  readonly #waiting = new Set<() => void>();

  constructor(bounds: EventLogBounds) {
    this.#bounds = bounds;
  }

  /** JSON of the events that are kept, bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The id of the newest event, or of none yet. */
  get lastId(): string {
    return this.#idOf(this.#count);
  }

  add(news: N): void {
    this.#count += 1;
    const event = { id: this.#idOf(this.#count), ...news };
    const bytes = Buffer.byteLength(JSON.stringify(event));
    this.#kept.push({ event, bytes });
    this.#bytes += bytes;
    while (this.#isFull()) this.#dropFirst();
    wake(this.#waiting);
  }

  #isFull(): boolean {
    const count = this.#kept.length - this.#first;
    return count > 0 && (count > this.#bounds.events || this.#bytes > this.#bounds.bytes);
  }

  #dropFirst(): void {
    this.#bytes -= this.#kept[this.#first]?.bytes ?? 0;
    this.#kept[this.#first] = undefined;
    this.#first += 1;
    // Not one by one: that would move all of them each time.
    if (this.#first < MAX_EMPTY || this.#first < this.#kept.length / 2) return;
    this.#kept = this.#kept.slice(this.#first);
    this.#first = 0;
  }

  /**
   * From now on, or from behind `lastId`; a reader that falls behind what is kept is informed that it has lost some. What
   * `besides` has comes with the id of the event before it.
   */
  async *follow(
    lastId: string | undefined,
    signal: AbortSignal,
    besides?: Newest<N>,
  ): AsyncGenerator<IdentifiedEvent<N>> {
    let at = lastId === undefined ? this.#count : this.#countAt(lastId);
    let seen = 0;
    if (lastId === undefined) yield { id: this.#idOf(this.#count), type: 'ready' };
    while (!signal.aborted) {
      const first = this.#count - (this.#kept.length - this.#first);
      if (at === undefined || at < first) {
        at = this.#count;
        yield { id: this.#idOf(at), type: 'lost' };
        continue;
      }
      const next = this.#kept[this.#first + at - first]?.event;
      const newest = besides?.newest();
      if (next !== undefined) {
        at += 1;
        yield next;
      } else if (besides !== undefined && newest !== undefined && besides.count() !== seen) {
        seen = besides.count();
        yield { id: this.#idOf(at), ...newest };
      } else await woken([this.#waiting, besides?.waiting], signal);
    }
  }

  #idOf(count: number): string {
    return `${this.#run}-${count}`;
  }

  #countAt(id: string): number | undefined {
    const [, run, count] = /^([0-9a-f]{12})-(\d{1,15})$/.exec(id) ?? [];
    return run === this.#run && Number(count) <= this.#count ? Number(count) : undefined;
  }
}

/** An event with its id. `ready`: the first of a stream that begins now. `lost`: ask for the lists again. */
export type IdentifiedEvent<N> = { readonly id: string } & (
  | N
  | { readonly type: 'ready' | 'lost' }
);

/** Calls all that wait, and takes them out. */
export function wake(waiting: Set<() => void>): void {
  for (const go of Array.from(waiting)) go();
}

/** Resolves once one of the sets is woken or the signal aborts; leaves nothing on any of them, which may live for days. */
export function woken(
  waiting: readonly (Set<() => void> | undefined)[],
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      signal.removeEventListener('abort', go);
      for (const each of waiting) each?.delete(go);
      resolve();
    };
    signal.addEventListener('abort', go, { once: true });
    for (const each of waiting) each?.add(go);
    if (signal.aborted) go();
  });
}
