import type { Clock } from './clock.ts';
import { toGodwitError } from './errors.ts';
import type { Log } from './log.ts';

/** Repeats looks at intervals until it is closed. A look that fails is logged, and the next one comes. */
export class Poller {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #end = new AbortController();
  readonly #loops: Promise<void>[] = [];

  constructor({ clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Aborts when it is closed. */
  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** `failed`: what the log says of a look that failed. */
  start(everyMs: number, look: () => Promise<unknown>, failed: string): void {
    this.#loops.push(this.#run(everyMs, look, failed));
  }

  /** Resolves once no look goes on. */
  async close(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#loops);
  }

  async #run(everyMs: number, look: () => Promise<unknown>, failed: string): Promise<void> {
    const { signal } = this;
    while (!signal.aborted) {
      try {
        await look();
      } catch (thrown) {
        if (!signal.aborted) this.#log.warn({ error: toGodwitError(thrown) }, failed);
      }
      await this.#clock.sleep(everyMs, signal).catch(() => {});
    }
  }
}
