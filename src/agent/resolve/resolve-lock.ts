import type { Clock } from '../../clock.ts';
import { hasCode } from '../../errors.ts';
import { holdMigration, type HeldMigration } from '../../host/journal/migration-lock.ts';
import type { MoverRequest } from '../../protocol/mover/request.ts';
import type { Migration } from '../migrations/store.ts';

/** Time that an ended mover still reports its end, ms. */
const LINGER_MS = 6000;
const AGAIN_MS = 100;

/** The lock of the source's mover once that mover is gone; throws what holdMigration throws if it stays. */
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

/**
 * Takes the locks of both sides, because a mover may hold one of them without a readable file that names it. Returns
 * the side whose lock another process holds. Throws if a lock file cannot be locked.
 */
export async function lockBothSides(
  { dir, id }: Migration,
  host: string,
): Promise<HeldMigration | { readonly heldSide: MoverRequest['side'] }> {
  const held: HeldMigration[] = [];
  const release = (): void => {
    for (const lock of held) lock.release();
  };
  for (const side of ['source', 'destination'] as const) {
    try {
      held.push(await holdMigration({ dir, host, id, side }));
    } catch (thrown) {
      release();
      if (hasCode(thrown, 'GODWIT_INTERNAL')) return { heldSide: side };
      throw thrown;
    }
  }
  return { release };
}
