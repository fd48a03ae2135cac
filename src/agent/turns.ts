import { withDeadline } from '../deadline.ts';

/** `what`: the earlier jobs, for the error of one that waited too long. */
export interface Turn {
  readonly what: string;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** Runs jobs of one key one after another, in order of arrival. A key without jobs takes no memory. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /**
   * Settles as the job does. Rejects with GODWIT_DEADLINE, or the signal's reason, if the turn does not come in time;
   * the job then never begins. A running job is not stopped.
   */
  async run<T>(key: string, turn: Turn, job: () => Promise<T>): Promise<T> {
    const { what, deadlineMs, signal } = turn;
    const earlier = this.#last.get(key);
    const own = Promise.withResolvers<void>();
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

  has(key: string): boolean {
    return this.#last.has(key);
  }
}
