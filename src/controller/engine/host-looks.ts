import type { Move } from '../../protocol/controller/fleet-request.ts';
import type { Sight } from '../requests/settle.ts';

export interface HostLooksDependencies {
  readonly monotonicMs: () => number;
  /** Never rejects. */
  readonly one: (move: Move) => Promise<Sight>;
  /** The newest migrations of a host, so many at most, by id. */
  readonly newest: (host: string, most: number) => Promise<ReadonlyMap<string, Sight>>;
}

/** From so many looks in a second on, those at one host are one question. */
const MANY = 100;
const WINDOW_MS = 1000;
/** Migrations that a host is asked for, for each that is looked at: it lists those that come to it as well. */
const LISTED = 2;

/** Who answers for a move: a dead host answers nothing, and where its guest is started, they know. */
export const askedAbout = ({ recovers, from, to }: Move): string =>
  recovers === undefined ? from : to;

/**
 * Looks at moves. If there are many, one question asks a host for all of its moves, and separate questions follow for moves
 * that its answer leaves out. If there are few, each has a separate question: a mover that hangs then delays no other move.
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
      // One that ended long ago says nothing of now.
      const before = nowMs - untilMs < WINDOW_MS ? count : 0;
      this.#window = { untilMs: nowMs + WINDOW_MS, count: 0, before };
    }
    this.#window.count += 1;
    return Math.max(this.#window.before, this.#window.count) >= MANY;
  }
}
