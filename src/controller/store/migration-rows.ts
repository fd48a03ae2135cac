import type { NewMigration } from '../history/record.ts';
import type { MigrationRow } from './tables.ts';
import type { Db } from './request-rows.ts';

/**
 * The row of one migration: which host may write what into it. A row belongs to the host that reports it (`told_by`), so
 * nothing that one host reports keeps another host from its own rows. A source takes over what others said of its own.
 */

/** What names a row. */
export type MigrationKey = Pick<MigrationRow, 'id' | 'source' | 'told_by'>;

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

/** True if no host had reported it. */
export async function begin(db: Db, row: MigrationRow): Promise<boolean> {
  const { id, guest, source, destination, mode, told_by, side, started_at, epoch } = row;
  const open = { id, guest, source, destination, mode, told_by, side, started_at, epoch };
  if (await isOfAnotherMove(db, row)) return false;
  if (told_by === source) await takeOver(db, row);
  else if (await isReported(db, { id, source, told_by: source })) return false;
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('migrations')
    .values(open)
    .onConflict((conflict) => conflict.columns(['id', 'source', 'told_by']).doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

/** What others said of this migration of the source becomes the source's row; what does not agree with it goes. */
async function takeOver(db: Db, row: MigrationRow): Promise<void> {
  const { id, guest, source, destination, told_by, side, epoch } = row;
  const said = await db
    .selectFrom('migrations')
    .select(['told_by', 'guest', 'destination', 'ended_at'])
    .where('id', '=', id)
    .where('source', '=', source)
    .orderBy('told_by')
    .execute();
  const others = said.filter((each) => each.told_by !== source);
  if (others.length === 0) return;
  const isSame = (each: (typeof said)[number]): boolean =>
    each.guest === guest && each.destination === destination;
  // The destination knows more than a third host.
  const agreed = others.filter(isSame);
  const taken = agreed.find((each) => each.told_by === destination) ?? agreed[0];
  const hasOwn = others.length < said.length;
  const of = (host: string): MigrationKey => ({ id, source, told_by: host });
  if (taken !== undefined && !hasOwn) {
    const set = taken.ended_at === null ? { told_by, side, epoch } : { told_by, epoch };
    await keyed(db.updateTable('migrations').set(set), of(taken.told_by)).execute();
  }
  for (const { told_by: host } of others)
    await keyed(db.deleteFrom('migrations'), of(host)).execute();
}

/** Whether a request asked for a move of that id, and this is not it. */
async function isOfAnotherMove(db: Db, row: NewMigration): Promise<boolean> {
  const { id, guest, source, destination } = row;
  const columns = ['guest', 'source', 'destination'] as const;
  const move = await db.selectFrom('moves').select(columns).where('id', '=', id).executeTakeFirst();
  if (move === undefined) return false;
  return move.guest !== guest || move.source !== source || move.destination !== destination;
}

export async function isReported(db: Db, key: MigrationKey): Promise<boolean> {
  const found = keyed(db.selectFrom('migrations').select('id'), key);
  return (await found.executeTakeFirst()) !== undefined;
}

/** True if no host had reported that it ended. */
export async function end(db: Db, row: MigrationRow): Promise<boolean> {
  const { id, guest, source, destination, started_at: _started, told_by: _by, ...rest } = row;
  const before = await toEnd(db, row);
  if (before === undefined || isFinal(before, row.side) || before.outcome === row.outcome)
    return false;
  const own = db.updateTable('migrations').set(rest);
  const { numUpdatedRows } = await keyed(own, { id, source, told_by: before.told_by })
    .where('guest', '=', guest)
    .where('destination', '=', destination)
    .executeTakeFirst();
  return numUpdatedRows === 1n && (before.outcome === null || before.outcome === 'held');
}

/** The row that this host's word ends: its own; a destination also ends the row of a source that is gone. */
async function toEnd(
  db: Db,
  { id, source, destination, told_by, side }: NewMigration,
): Promise<(KnownMigration & Pick<MigrationRow, 'told_by'>) | undefined> {
  const tellers = [told_by];
  if (side === 'destination' && told_by === destination) tellers.unshift(source);
  for (const teller of tellers) {
    const query = db.selectFrom('migrations').select(['outcome', 'side', 'told_by']);
    const found = await keyed(query, { id, source, told_by: teller }).executeTakeFirst();
    if (found !== undefined) return found;
  }
  return undefined;
}

interface FilterableQuery<Q> {
  where(column: 'id' | 'source' | 'told_by', is: '=', value: string): Q;
}

function keyed<Q extends FilterableQuery<Q>>(query: Q, { id, source, told_by }: MigrationKey): Q {
  return query.where('id', '=', id).where('source', '=', source).where('told_by', '=', told_by);
}
