import type { NewMigration } from '../history/record.ts';
import type { MigrationRow } from './tables.ts';
import type { Db } from './request-rows.ts';

/**
 * Rows of migrations and the right to write them. A row belongs to the host that reports it (`told_by`), so no host's
 * report blocks another's. A source takes over others' rows about its own migrations.
 */

export type MigrationKey = Pick<MigrationRow, 'id' | 'source' | 'told_by'>;

export interface KnownMigration {
  readonly outcome: string | null;
  readonly side: string;
}

/** Tells whether the row is final. A held migration may continue, and the source's report is the best. */
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

/** Turns others' rows of this migration into the source's row, and deletes contradicting ones. */
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

/** True if no host had reported the end. */
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

/** The row that this report ends: the reporter's, or, from a destination, that of a source that is gone. */
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
