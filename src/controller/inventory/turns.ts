import type { AskKernel } from '../../rpc/reach.ts';

/** Hosts that are connected to and listed at once; hosts that failed the last time have as many places. */
const AT_ONCE = 32;
/** Hosts whose kernel is probed at once; a waiting probe is cheap. */
const KNOCKS_AT_ONCE = 1024;

export interface Pacing {
  /**
   * Runs a connection with its lists. Hosts that failed the last time have separate turns, since they may hang again.
   */
  readonly turn: <T>(work: () => Promise<T>, hasFailed: boolean) => Promise<T>;
  /** Opens a connection to the host's kernel. */
  readonly knock: AskKernel;
}

/** Limits the parallel work of a controller that begins to follow thousands of hosts. */
export function paced(knock: AskKernel): Pacing {
  const [turns, failed] = [new Turns(AT_ONCE), new Turns(AT_ONCE)];
  const knocks = new Turns(KNOCKS_AT_ONCE);
  return {
    turn: (work, hasFailed) => (hasFailed ? failed : turns).run(work),
    knock: (...asked) => knocks.run(() => knock(...asked)),
  };
}

/** Runs a limited number of jobs at a time, in order of arrival. */
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
      // Passes its place to the next job, or frees it.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
