import type { Move } from '../../protocol/controller/fleet-request.ts';
import type { Sight } from '../requests/settle.ts';

export interface HostLooksDependencies {
  readonly monotonicMs: () => number;
  readonly one: (move: Move) => Promise<Sight>;
  readonly newest: (host: string, most: number) => Promise<ReadonlyMap<string, Sight>>;
}

/** Above this number of looks a second, looks at one host share one call. */
const MANY = 100;
const WINDOW_MS = 1000;
/** Listed migrations per looked-up one: the list includes arriving ones. */
const LISTED = 2;

/** The host that answers for a move. A dead host does not, so the host that starts its guest does. */
export const askedAbout = ({ recovers, from, to }: Move): string =>
  recovers === undefined ? from : to;

/**
 * One call asks a host for all its moves if there are many looks. Otherwise each move has a separate call, so that a
 * hanging mover delays no other move.
 */
export class HostLooks {
  readonly #deps: HostLooksDependencies;
  readonly #asked = new Map<
    string,
    { move: Move; resolve: (sight: Sight | PromiseLike<Sight>) => void }[]
  >();
  #window = { untilMs: 0, count: 0, before: 0 };

  constructor(deps: HostLooksDependencies) {
    this.#deps = deps;
  }

  look(move: Move): Promise<Sight> {
    if (!this.#areMany()) return this.#deps.one(move);
    const { promise, resolve } = Promise.withResolvers<Sight>();
    const host = askedAbout(move);
    const together = this.#asked.get(host);
    if (together !== undefined) together.push({ move, resolve });
    else {
      this.#asked.set(host, [{ move, resolve }]);
      queueMicrotask(() => void this.#ask(host));
    }
    return promise;
  }

  async #ask(host: string): Promise<void> {
    const all = this.#asked.get(host) ?? [];
    this.#asked.delete(host);
    const { newest, one } = this.#deps;
    const none: ReadonlyMap<string, Sight> = new Map();
    const seen = all.length < 2 ? none : await newest(host, LISTED * all.length).catch(() => none);
    for (const { move, resolve } of all) {
      const sight = seen.get(move.id);
      resolve(sight ?? one(move));
    }
  }

  #areMany(): boolean {
    const nowMs = this.#deps.monotonicMs();
    const { untilMs, count } = this.#window;
    if (nowMs >= untilMs) {
      // A count of an old window is not valid now.
      const before = nowMs - untilMs < WINDOW_MS ? count : 0;
      this.#window = { untilMs: nowMs + WINDOW_MS, count: 0, before };
    }
    this.#window.count += 1;
    return Math.max(this.#window.before, this.#window.count) >= MANY;
  }
}
