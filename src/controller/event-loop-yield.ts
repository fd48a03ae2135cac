import { setImmediate as nextTurn } from 'node:timers/promises';
import { Mutex } from '../mutex.ts';

/** Longest uninterrupted work, ms. */
const TURN_MS = 5;

/** Yields to the event loop between pieces of work that become ready together. */
export class EventLoopYield {
  readonly #monotonicMs: () => number;
  readonly #turn: () => Promise<unknown>;
  readonly #queue = new Mutex();
  #begunMs = -Infinity;

  constructor(monotonicMs: () => number, turn: () => Promise<unknown> = () => nextTurn()) {
    this.#monotonicMs = monotonicMs;
    this.#turn = turn;
  }

  /** Resolves in order of the calls. */
  next(): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#monotonicMs() - this.#begunMs < TURN_MS) return;
      await this.#turn();
      this.#begunMs = this.#monotonicMs();
    });
  }
}
