import { wake, woken } from '../../rpc/event-log.ts';
import type { MigrationNews } from '../../protocol/controller/history.ts';

export type UnsignedNews = MigrationNews extends infer N
  ? N extends unknown
    ? Omit<N, 'id'>
    : never
  : never;

/** News that a viewer may be behind. One that is further behind goes on with how it stands now. */
const MAX_BEHIND = 64;
/** JSON of these together, bytes: reports are long. */
const MAX_BEHIND_BYTES = 4 * 1024 * 1024;

/**
 * What was reported about a migration to all who view it. Each of its news takes the place of the last one of its kind, so the
 * newest of each kind say how it stands: that is what a viewer begins with, and what one that reads slowly goes on with. So
 * viewers hold nothing of their own, whatever they do.
 */
export class MigrationFeed {
  viewers = 0;
  readonly #id: string;
  #kept: { readonly news: MigrationNews; readonly bytes: number }[] = [];
  #bytes = 0;
  /** The newest of each kind, oldest first. */
  readonly #now = new Map<MigrationNews['type'], MigrationNews>();
  #count = 0;
  #over: { readonly failure?: unknown } | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(id: string) {
    this.#id = id;
  }

  add(unsigned: UnsignedNews): void {
    this.#count += 1;
    const news = { ...unsigned, id: `${this.#id}-${this.#count}` };
    const bytes = Buffer.byteLength(JSON.stringify(news));
    this.#kept.push({ news, bytes });
    this.#bytes += bytes;
    while (this.#kept.length > MAX_BEHIND || this.#bytes > MAX_BEHIND_BYTES)
      this.#bytes -= this.#kept.shift()?.bytes ?? this.#bytes;
    // It reported something: it is silent no more.
    this.#now.delete('silent');
    this.#now.delete(news.type);
    this.#now.set(news.type, news);
    wake(this.#waiting);
  }

  /** Nothing comes any more; where it failed, with the error that all viewers get. */
  end(failure?: unknown): void {
    this.#over = failure === undefined ? {} : { failure };
    wake(this.#waiting);
  }

  async *follow(signal: AbortSignal): AsyncGenerator<MigrationNews> {
    let seen = 0;
    while (!signal.aborted) {
      const behind = this.#count - seen;
      if (behind > 0) {
        const isFresh = seen > 0 && behind <= this.#kept.length;
        const next = isFresh
          ? this.#kept.slice(-behind).map(({ news }) => news)
          : [...this.#now.values()];
        seen = this.#count;
        yield* next;
      } else if (this.#over !== undefined) {
        if ('failure' in this.#over) throw this.#over.failure;
        return;
      } else await woken([this.#waiting], signal);
    }
  }
}
