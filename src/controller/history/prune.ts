import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import type { Store } from '../store/open.ts';
import type { Db } from '../store/wish-rows.ts';

/** What is kept of migrations and wishes that have ended. */
export interface HistoryPolicy {
  readonly days: number;
  /** Migrations. */
  readonly most: number;
}

/** Rows of one transaction, and transactions of one turn: the rest waits for the next turn. */
const ROWS = 500;
const TURNS = 40;
const DAY_MS = 86_400_000;

/** How many rows went. */
export type Pruned = Readonly<Record<'migrations' | 'wishes', number>>;

/** Removes what the policy keeps no longer, the oldest first. */
export async function pruneHistory(store: Store, { days, most }: HistoryPolicy): Promise<Pruned> {
  const old = sql<number>`${store.nowMs} - ${sql.lit(days * DAY_MS)}`;
  let [migrations, wishes] = [0, 0];
  for (let turn = 0; turn < TURNS; turn += 1) {
    const gone = await store.transaction((db) => dropMigrations(db, old, most));
    migrations += gone;
    if (gone < ROWS) break;
  }
  for (let turn = 0; turn < TURNS; turn += 1) {
    const gone = await store.transaction((db) => dropWishes(db, old));
    wishes += gone;
    if (gone < ROWS) break;
  }
  return { migrations, wishes };
}

/**
 * What ended up to then was pruned, or would be at once: a host that still reports it is not listened to. ms since 1970,
 * by the database's clock.
 */
export async function horizonMs(store: Store, { days, most }: HistoryPolicy): Promise<number> {
  const { count, oldest, now } = await store.db
    .selectFrom('migrations')
    .select(({ fn }) => [
      fn.count<number>('ended_at').as('count'),
      fn.min<number | null>('ended_at').as('oldest'),
      store.nowMs.as('now'),
    ])
    .executeTakeFirstOrThrow();
  return Math.max(now - days * DAY_MS, count >= most ? (oldest ?? 0) : 0);
}

async function dropMigrations(db: Db, old: RawBuilder<number>, most: number): Promise<number> {
  const { count } = await db
    .selectFrom('migrations')
    .select(({ fn }) => fn.count<number>('ended_at').as('count'))
    .executeTakeFirstOrThrow();
  const surplus = Math.min(ROWS, Math.max(0, count - most));
  const aged = await db
    .selectFrom('migrations')
    .select('id')
    .where('ended_at', '<', old)
    .orderBy('ended_at')
    .limit(ROWS)
    .execute();
  // Whatever became of a migration whose host reported no more of it.
  const stuck = await db
    .selectFrom('migrations')
    .select('id')
    .where('ended_at', 'is', null)
    .where('started_at', '<', old)
    .limit(ROWS)
    .execute();
  const beyond =
    surplus === 0
      ? []
      : await db
          .selectFrom('migrations')
          .select('id')
          .where('ended_at', 'is not', null)
          .orderBy('ended_at')
          .limit(surplus)
          .execute();
  const gone = [...new Set([...aged, ...stuck, ...beyond].map(({ id }) => id))].slice(0, ROWS);
  if (gone.length > 0) await db.deleteFrom('migrations').where('id', 'in', gone).execute();
  return gone.length;
}

/** With their claims and moves; never one for whose move memory is reserved still. */
async function dropWishes(db: Db, old: RawBuilder<number>): Promise<number> {
  const rows = await db
    .selectFrom('wishes')
    .select('id')
    .where('ended_at', '<', old)
    .where('id', 'not in', (eb) =>
      eb.selectFrom('reservations').select('wish_id').where('given_back_at', 'is', null),
    )
    .orderBy('ended_at')
    .limit(ROWS)
    .execute();
  const gone = rows.map(({ id }) => id);
  if (gone.length === 0) return 0;
  await db.deleteFrom('reservations').where('wish_id', 'in', gone).execute();
  await db.deleteFrom('moves').where('wish_id', 'in', gone).execute();
  await db.deleteFrom('claims').where('wish_id', 'in', gone).execute();
  await db.deleteFrom('wishes').where('id', 'in', gone).execute();
  return gone.length;
}
