import { withDeadline } from '../deadline.ts';

/** How a job waits for its turn. `what`: the jobs that it waits for, in the error of one that waited too long. */
export interface Turn {
  readonly what: string;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** Jobs of one key run one after another, in order of arrival. A key without jobs takes no memory. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /**
   * Settles as the job does. Rejects with GODWIT_DEADLINE, or with the signal's reason, if the turn does not come in time;
   * the job then never begins. A job that has begun is not stopped.
   */
  async run<T>(key: string, turn: Turn, job: () => Promise<T>): Promise<T> {
    const { what, deadlineMs, signal } = turn;
    const earlier = this.#last.get(key);
    const own = Promise.withResolvers<void>();
    // A job that leaves the queue lets the next one begin no sooner than the earlier ones have ended.
    const last: Promise<void> = Promise.all([earlier, own.promise]).then(() => {
      if (this.#last.get(key) === last) this.#last.delete(key);
    });
    this.#last.set(key, last);
    try {
      if (earlier !== undefined) await withDeadline(what, deadlineMs, signal, () => earlier);
      signal.throwIfAborted();
      return await job();
    } finally {
      own.resolve();
    }
  }

  /** Whether a job of this key runs or waits. */
  has(key: string): boolean {
    return this.#last.has(key);
  }
}
