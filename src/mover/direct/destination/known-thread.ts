import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { withDeadline } from '../../../deadline.ts';
import type { AgentConfig } from '../../../config.ts';
import type { Admission } from '../../../protocol/peer/migration.ts';
import { knownAnswer, type KnownAnswer, type KnownQuestion } from '../../../protocol/wire.ts';

/** Shorter than a source waits, ms. */
const ANSWER_MS = 5000;

/** Copied into the thread. */
export interface KnownData {
  readonly config: AgentConfig;
  readonly admission: Pick<Admission, 'guest' | 'from'>;
  readonly question: KnownQuestion;
}

/**
 * Reads this host's cache in a separate thread, because reading is synchronous and storage may hang. One thread at a
 * time: a question during another one, or after a failure or timeout, gets an empty answer.
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
        // A thread that waits for hung storage ends once the storage answers.
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
