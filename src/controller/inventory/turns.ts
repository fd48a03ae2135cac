import type { AskKernel } from '../../rpc/reach.ts';

/** Hosts that are connected to and listed at once. */
const AT_ONCE = 32;
/** Hosts whose kernel is probed at once; a waiting probe is cheap. */
const KNOCKS_AT_ONCE = 1024;

export interface Pacing {
  /**
   * Runs a connection with its lists. Hosts that failed the last time have separate turns, since they may hang again.
   */
  readonly turn: <T>(work: () => Promise<T>, hasFailed: boolean) => Promise<T>;
  readonly knock: AskKernel;
}

export function paced(knock: AskKernel): Pacing {
  const [turns, failed] = [new Turns(AT_ONCE), new Turns(AT_ONCE)];
  const knocks = new Turns(KNOCKS_AT_ONCE);
  return {
    turn: (work, hasFailed) => (hasFailed ? failed : turns).run(work),
    knock: (...asked) => knocks.run(() => knock(...asked)),
  };
}

class Turns {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(most: number) {
    this.#most = most;
  }

  async run<T>(job: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#most) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    } else this.#running += 1;
    try {
      return await job();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
