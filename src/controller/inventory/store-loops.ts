import { setTimeout as sleep } from 'node:timers/promises';
import { toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';

/** A failure and its end are logged once each. */
export class StoreLoops {
  readonly #log: Log;
  readonly #end = new AbortController();
  readonly #loops: Promise<void>[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  start(everyMs: number, what: string, work: () => Promise<void>): void {
    this.#loops.push(this.#run(everyMs, what, work));
  }

  async close(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#loops);
  }

  async #run(everyMs: number, what: string, work: () => Promise<void>): Promise<void> {
    const { signal } = this.#end;
    let failed = '';
    while (!signal.aborted) {
      try {
        await work();
        if (failed !== '') this.#log.info({ what }, 'database answers again');
        failed = '';
      } catch (thrown) {
        const error = toGodwitError(thrown);
        if (error.message !== failed) this.#log.error({ what, error }, error.message);
        failed = error.message;
      }
      await sleep(everyMs, undefined, { signal }).catch(() => {});
    }
  }
}
