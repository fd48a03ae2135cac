import { setImmediate as nextTurn } from 'node:timers/promises';

/** Of one turn of the event loop, ms: a read that comes meanwhile waits that long, and not for the decisions of all wishes. */
const TURN_MS = 5;

/**
 * Hundreds of wishes wait for one look at the fleet, and all decide once it is there. Each of them asks here first, so
 * that what others ask of this process is answered in between.
 */
export class Breaths {
  readonly #monotonicMs: () => number;
  readonly #turn: () => Promise<unknown>;
  #last: Promise<void> = Promise.resolve();
  #begunMs = -Infinity;

  constructor(monotonicMs: () => number, turn: () => Promise<unknown> = () => nextTurn()) {
    this.#monotonicMs = monotonicMs;
    this.#turn = turn;
  }

  /** Resolves in order, each once whoever asked before has had its part of a turn. */
  next(): Promise<void> {
    this.#last = this.#last.then(async () => {
      if (this.#monotonicMs() - this.#begunMs < TURN_MS) return;
      await this.#turn();
      this.#begunMs = this.#monotonicMs();
    });
    return this.#last;
  }
}
