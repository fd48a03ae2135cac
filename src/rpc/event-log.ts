import { randomBytes } from 'node:crypto';

/** Besides the events of a log: values of which only the newest counts, and which nobody asks for again. */
export interface Newest<N> {
  /** Counts up with each value. */
  readonly count: () => number;
  readonly newest: () => N | undefined;
  /** Whoever waits for the next value; each is called once and taken out. */
  readonly waiting: Set<() => void>;
}

/**
 * Events in order, each with an id by which whoever follows comes back. The last `kept` are kept for that. The ids of
 * another run of the process, or of what is kept no more, are answered with `lost`: then lists show where things stand.
 */
export class EventLog<N extends { readonly type: string }> {
  readonly #run = randomBytes(6).toString('hex');
  readonly #most: number;
  #kept: (N & { readonly id: string })[] = [];
  /** Of `#kept`, those before it are kept no more. */
  #first = 0;
  #count = 0;
  readonly #waiting = new Set<() => void>();

  constructor(most: number) {
    this.#most = most;
  }

  add(news: N): void {
    this.#count += 1;
    this.#kept.push({ id: this.#idOf(this.#count), ...news });
    if (this.#kept.length - this.#first > this.#most) this.#first += 1;
    // Not one by one: that would move all of them each time.
    if (this.#first > this.#most) {
      this.#kept = this.#kept.slice(this.#first);
      this.#first = 0;
    }
    wake(this.#waiting);
  }

  /**
   * From now on, or from behind `lastId`; a reader that falls behind what is kept is informed that it has lost some. What
   * `besides` has comes with the id of the event before it.
   */
  async *follow(
    lastId: string | undefined,
    signal: AbortSignal,
    besides?: Newest<N>,
  ): AsyncGenerator<Signed<N>> {
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
      const next = this.#kept[this.#first + at - first];
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
export type Signed<N> = { readonly id: string } & (N | { readonly type: 'ready' | 'lost' });

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
