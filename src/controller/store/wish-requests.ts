import { isDeepStrictEqual } from 'node:util';
import { sql, type RawBuilder } from 'kysely';
import { godwitError } from '../../errors.ts';
import { wishAsk, type Wish, type WishAsk } from '../../protocol/controller/wish.ts';
import { readWish, subjectOf, type Db } from './wish-rows.ts';

/** What people ask for and take back. */

/** Open requests of one caller; the list of all has 1,000. */
export const MAX_OPEN_OF_ONE = 500;

/**
 * Stores a wish, and marks its hosts as draining, but for those of a roll; asked for again, it changes nothing. GODWIT_WISH_TAKEN where the id is
 * that of another one; GODWIT_WISH_OPEN where one for the same guest, or for one of its hosts, is open; GODWIT_OVERLOADED where
 * the caller has `MAX_OPEN_OF_ONE` open ones.
 */
export async function addWish(db: Db, wish: Wish, now: RawBuilder<number>): Promise<void> {
  const { ask } = wish;
  const subject = subjectOf(wish);
  await raiseAdmission(db);
  if ((await sameAsked(db, wish.id, ask)) !== undefined) return;
  await checkNoneOpen(db, wish);
  await checkCount(db, wish);
  await db
    .insertInto('wishes')
    .values({
      id: wish.id,
      kind: ask.kind,
      subject,
      state: wish.phase,
      body: JSON.stringify(wish),
      priority: ask.priority,
      created_at: wish.createdAtMs,
      created_by: wish.createdBy,
      due_at: 0,
      ended_at: null,
    })
    .execute();
  // A roll closes its hosts one after the other.
  if (ask.kind === 'roll') return;
  for (const host of ask.hosts) await markDraining(db, wish.id, host, now);
}

/** A controller that reserved room without having seen a new mark, or one that was taken away, decides again. */
export async function raiseAdmission(db: Db): Promise<void> {
  await db
    .updateTable('counters')
    .set({ value: sql<number>`value + 1` })
    .where('name', '=', 'admission')
    .execute();
}

export async function markDraining(
  db: Db,
  wish: string,
  host: string,
  now: RawBuilder<number>,
): Promise<void> {
  const mark = { draining_for: wish, draining_since: now };
  await db
    .insertInto('host_marks')
    .values({ host, ...mark })
    .onConflict((conflict) => conflict.column('host').doUpdateSet(mark))
    .execute();
}

/** Guests may come to it again; where a wish is named, only if it is that one which keeps them away. */
export async function openHost(db: Db, host: string, wish?: string): Promise<void> {
  await raiseAdmission(db);
  let update = db
    .updateTable('host_marks')
    .set({ draining_for: null, draining_since: null })
    .where('host', '=', host);
  if (wish !== undefined) update = update.where('draining_for', '=', wish);
  await update.execute();
}

async function checkNoneOpen(db: Db, { ask }: Wish): Promise<void> {
  const isMigration = ask.kind === 'migration';
  const open = await db
    .selectFrom('wishes')
    .select(['id', 'kind', 'subject'])
    .where('kind', isMigration ? '=' : '!=', 'migration')
    .where('ended_at', 'is', null)
    .execute();
  const named = new Set(ask.guest === undefined ? ask.hosts : [ask.guest]);
  for (const { id, kind, subject } of open) {
    // A host may die while it is drained: what is left of that drain waits for it for ever.
    if (ask.kind === 'recover' && kind !== 'recover') continue;
    const same = subject.split(',').filter((each) => named.has(each));
    // A host that was opened since is not of an evacuation any more.
    const of = kind === 'evacuate' ? await markedFor(db, id, same) : same;
    if (of[0] !== undefined) throw godwitError('GODWIT_WISH_OPEN', { subject: of[0], wish: id });
  }
}

/** A wish is read and decided again with each step, and no caller takes all the time of the others. */
async function checkCount(db: Db, { ask, createdBy }: Wish): Promise<void> {
  // The guests of a dead host do not wait for it, and there is one such wish of a host at most.
  if (ask.kind === 'recover') return;
  const { open } = await db
    .selectFrom('wishes')
    .select(db.fn.countAll<number>().as('open'))
    .where('created_by', '=', createdBy)
    .where('ended_at', 'is', null)
    .executeTakeFirstOrThrow();
  if (Number(open) < MAX_OPEN_OF_ONE) return;
  const what = `the count of open requests of ${createdBy}`;
  throw godwitError('GODWIT_OVERLOADED', { what, limit: MAX_OPEN_OF_ONE });
}

/** Those of the hosts that this wish empties still. */
async function markedFor(db: Db, wish: string, hosts: readonly string[]): Promise<string[]> {
  if (hosts.length === 0) return [];
  const rows = await db
    .selectFrom('host_marks')
    .select('host')
    .where('draining_for', '=', wish)
    .execute();
  const marked = new Set(rows.map(({ host }) => host));
  return hosts.filter((host) => marked.has(host));
}

/** The wish that was asked for under this id. GODWIT_WISH_TAKEN where that was something else. */
export async function sameAsked(db: Db, id: string, ask: WishAsk): Promise<Wish | undefined> {
  const row = await db.selectFrom('wishes').select('body').where('id', '=', id).executeTakeFirst();
  if (row === undefined) return undefined;
  const known = readWish(row.body);
  if (isDeepStrictEqual(known.ask, wishAsk.parse(ask))) return known;
  throw godwitError('GODWIT_WISH_TAKEN', { wish: id });
}

/** False where it has ended, or there is none. A cancel that asks for more than an earlier one counts. */
export async function cancelWish(db: Db, id: string, asked: number): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('wishes')
    .set((eb) => ({
      cancel_asked: sql<number>`case when cancel_asked > ${asked} then cancel_asked else ${eb.val(asked)} end`,
      due_at: 0,
    }))
    .where('id', '=', id)
    .where('ended_at', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** The open wish that empties this host. */
export async function openDrain(db: Db, host: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('host_marks')
    .innerJoin('wishes', 'wishes.id', 'host_marks.draining_for')
    .select('wishes.id')
    .where('host_marks.host', '=', host)
    .where('wishes.ended_at', 'is', null)
    .executeTakeFirst();
  return row?.id;
}

/**
 * Guests may come to the host again. The open wish that empties it is cancelled, or, where that is an evacuation which has
 * other hosts still, goes on without this one.
 */
export async function undrainHost(db: Db, host: string, cancel: number): Promise<void> {
  const open = await openDrain(db, host);
  await openHost(db, host);
  if (open === undefined) return;
  const left = await db
    .selectFrom('host_marks')
    .select('host')
    .where('draining_for', '=', open)
    .limit(1)
    .executeTakeFirst();
  if (left === undefined) await cancelWish(db, open, cancel);
  // What was decided by then counted this host as one to be emptied.
  else
    await db
      .updateTable('wishes')
      .set({ due_at: 0, version: sql<number>`version + 1` })
      .where('id', '=', open)
      .execute();
}
