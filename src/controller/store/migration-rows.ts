import type { NewMigration } from '../history/record.ts';
import type { MigrationRow } from './tables.ts';
import type { Db } from './wish-rows.ts';

/** The row of one migration: which host may write what into it. */

/** What is known of a migration that a host reports. */
export interface KnownMigration {
  readonly outcome: string | null;
  readonly side: string;
}

/** Whether there is nothing more to be written of it. A migration that is held may go on, and the source knows most. */
export function isFinal({ outcome, side }: KnownMigration, reporter: string): boolean {
  if (outcome === null || outcome === 'held') return false;
  return side === 'source' || reporter === 'destination';
}

/** True where nobody had reported it. */
export async function begin(db: Db, row: MigrationRow): Promise<boolean> {
  const { id, guest, source, destination, mode, told_by, side, started_at, epoch } = row;
  const open = { id, guest, source, destination, mode, told_by, side, started_at, epoch };
  if (await isOfAnotherMove(db, row)) return false;
  if (told_by === source) await dropHearsay(db, row);
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('migrations')
    .values(open)
    .onConflict((conflict) => conflict.column('id').doNothing())
    .executeTakeFirst();
  if (numInsertedOrUpdatedRows === 1n) return true;
  if (told_by === source) {
    const known = db.updateTable('migrations').set({ told_by, side, epoch }).where('id', '=', id);
    const same = known.where('guest', '=', guest).where('destination', '=', destination);
    const another = same.where('source', '=', source).where('told_by', '!=', source);
    await another.where('ended_at', 'is', null).execute();
  }
  return false;
}

/**
 * A destination alone reported another migration of that id: it may have made it up, and a source’s word of its own is not
 * kept out by that.
 */
async function dropHearsay(
  db: Db,
  { id, guest, source, destination }: NewMigration,
): Promise<void> {
  await db
    .deleteFrom('migrations')
    .where('id', '=', id)
    .where('side', '=', 'destination')
    .where((eb) =>
      eb.or([
        eb('guest', '!=', guest),
        eb('source', '!=', source),
        eb('destination', '!=', destination),
      ]),
    )
    .execute();
}

/** Whether a wish asked for a move of that id, and this is not it. */
async function isOfAnotherMove(db: Db, row: NewMigration): Promise<boolean> {
  const { id, guest, source, destination } = row;
  const columns = ['guest', 'source', 'destination'] as const;
  const move = await db.selectFrom('moves').select(columns).where('id', '=', id).executeTakeFirst();
  if (move === undefined) return false;
  return move.guest !== guest || move.source !== source || move.destination !== destination;
}

export async function isReporter(db: Db, { id, told_by }: NewMigration): Promise<boolean> {
  const found = db.selectFrom('migrations').select('id').where('id', '=', id);
  return (await found.where('told_by', '=', told_by).executeTakeFirst()) !== undefined;
}

/** True where nobody had reported that it ended. */
export async function end(db: Db, row: MigrationRow): Promise<boolean> {
  const { id, guest, source, destination, started_at: _started, told_by, ...rest } = row;
  const before = await db
    .selectFrom('migrations')
    .select(['outcome', 'side', 'told_by'])
    .where('id', '=', id)
    .executeTakeFirst();
  if (before === undefined || isFinal(before, row.side) || before.outcome === row.outcome)
    return false;
  const mayReport = new Set([before.told_by, source]);
  if (row.side === 'destination') mayReport.add(destination);
  if (!mayReport.has(told_by)) return false;
  const { numUpdatedRows } = await db
    .updateTable('migrations')
    .set({ ...rest, told_by: told_by === source ? source : before.told_by })
    .where('id', '=', id)
    .where('guest', '=', guest)
    .where('source', '=', source)
    .where('destination', '=', destination)
    .executeTakeFirst();
  return numUpdatedRows === 1n && (before.outcome === null || before.outcome === 'held');
}
