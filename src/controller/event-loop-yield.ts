import { setImmediate as nextTurn } from 'node:timers/promises';
import { Mutex } from '../mutex.ts';

/** Work of one turn of the event loop, ms: what is asked of this process meanwhile waits for that long. */
const TURN_MS = 5;

/**
 * Yields to the event loop between pieces of work that are all there at once: hundreds of requests wait for one look at the
 * fleet, and transactions of SQLite for one another. Each asks here first, so that this process hears others in between.
 */
export class EventLoopYield {
  readonly #monotonicMs: () => number;
  readonly #turn: () => Promise<unknown>;
  readonly #queue = new Mutex();
  #begunMs = -Infinity;

  constructor(monotonicMs: () => number, turn: () => Promise<unknown> = () => nextTurn()) {
    this.#monotonicMs = monotonicMs;
    this.#turn = turn;
  }

  /** Resolves in order, each once whoever asked before has had its part of a turn. */
  next(): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#monotonicMs() - this.#begunMs < TURN_MS) return;
      await this.#turn();
      this.#begunMs = this.#monotonicMs();
    });
  }
}
