import type { Clock } from '../../clock.ts';
import { holdMigration } from '../../host/journal/migration-lock.ts';
import type { Migration } from '../migrations/store.ts';

/** A mover that has ended says its last words for so long, ms. */
const LINGER_MS = 6000;
const AGAIN_MS = 100;

/** The lock of the source's mover, once the last one is gone; throws what holdMigration throws where it stays. */
export async function lockWhenFree(
  { dir, id }: Migration,
  clock: Clock,
  host: string,
): ReturnType<typeof holdMigration> {
  const until = clock.monotonicMs() + LINGER_MS;
  for (;;) {
    try {
      return await holdMigration({ dir, host, id, side: 'source' });
    } catch (thrown) {
      if (clock.monotonicMs() > until) throw thrown;
    }
    await clock.sleep(AGAIN_MS);
  }
}
