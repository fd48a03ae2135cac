import type { AskKernel } from '../../rpc/reach.ts';

/** Hosts that are connected to and asked for their lists at once; and as many of those that failed the last time. */
const AT_ONCE = 32;
/** Hosts whose kernel is asked at once: it costs little, however long it takes. */
const KNOCKS_AT_ONCE = 1024;

export interface Pacing {
  /** Runs what connects and lists. Hosts that failed the last time have turns apart: they may take long to fail again. */
  readonly turn: <T>(work: () => Promise<T>, hasFailed: boolean) => Promise<T>;
  /** Asks a host’s kernel for a connection. */
  readonly knock: AskKernel;
}

/** Bounds what followers do at once, in a controller that begins to follow thousands of hosts. */
export function paced(knock: AskKernel): Pacing {
  const [turns, failed] = [new Turns(AT_ONCE), new Turns(AT_ONCE)];
  const knocks = new Turns(KNOCKS_AT_ONCE);
  return {
    turn: (work, hasFailed) => (hasFailed ? failed : turns).run(work),
    knock: (...asked) => knocks.run(() => knock(...asked)),
  };
}

/** Runs so many jobs at a time; the others wait, in order of arrival. */
class Turns {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Settles as the job does. */
  async run<T>(job: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#most) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    } else this.#running += 1;
    try {
      return await job();
    } finally {
      // Its place goes to the next one, or is free.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
