import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { withDeadline } from '../../../deadline.ts';
import type { AgentConfig } from '../../../config.ts';
import type { Admission } from '../../../protocol/peer/migration.ts';
import { knownAnswer, type KnownAnswer, type KnownQuestion } from '../../../protocol/wire.ts';

/** A source waits for less, ms. */
const ANSWER_MS = 5000;

/** What the thread is given; a copy of each. */
export interface KnownData {
  readonly config: AgentConfig;
  readonly admission: Pick<Admission, 'guest' | 'from'>;
  readonly question: KnownQuestion;
}

/**
 * Reads what this host's cache has in a thread of its own: names are read and gone through at once, and storage may hang, which
 * is not to hold up the mover. One thread at a time: a question that comes while there is one, fails or takes too long is
 * answered with nothing.
 */
export class KnownThread {
  #isThere = false;

  async answer(data: KnownData, signal: AbortSignal): Promise<KnownAnswer> {
    if (this.#isThere) return {};
    try {
      return await withDeadline('what the cache has', ANSWER_MS, signal, async (within) => {
        const { guest, from } = data.admission;
        const workerData = { ...data, admission: { guest, from } };
        const worker = new Worker(new URL('./known-worker.ts', import.meta.url), { workerData });
        this.#isThere = true;
        // One that reads from storage that hangs ends when that answers.
        worker.once('exit', () => (this.#isThere = false));
        try {
          const [answer] = (await once(worker, 'message', { signal: within })) as [unknown];
          return knownAnswer.parse(answer);
        } finally {
          void worker.terminate();
        }
      });
    } catch {
      return {};
    }
  }
}
