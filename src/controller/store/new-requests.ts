import { isDeepStrictEqual } from 'node:util';
import { sql, type RawBuilder } from 'kysely';
import { godwitError } from '../../errors.ts';
import {
  requestAsk,
  type FleetRequest,
  type FleetRequestAsk,
} from '../../protocol/controller/fleet-request.ts';
import { readRequest, subjectOf, type Db } from './request-rows.ts';

/** What people ask for and take back. */

/** Open requests of one caller; the list of all has 1,000. */
export const MAX_OPEN_OF_ONE = 500;

/**
 * Stores a request, and marks its hosts as draining, but for those of a roll; asked for again, it changes nothing. GODWIT_REQUEST_TAKEN where the id is
 * that of another one; GODWIT_REQUEST_OPEN where one for the same guest, or for one of its hosts, is open; GODWIT_OVERLOADED where
 * the caller has `MAX_OPEN_OF_ONE` open ones.
 */
export async function addRequest(
  db: Db,
  request: FleetRequest,
  now: RawBuilder<number>,
): Promise<void> {
  const { ask } = request;
  const subject = subjectOf(request);
  await raiseAdmission(db);
  if ((await sameAsked(db, request.id, ask)) !== undefined) return;
  await checkNoneOpen(db, request);
  await checkCount(db, request);
  await db
    .insertInto('requests')
    .values({
      id: request.id,
      kind: ask.kind,
      subject,
      state: request.phase,
      body: JSON.stringify(request),
      priority: ask.priority,
      created_at: request.createdAtMs,
      created_by: request.createdBy,
      due_at: 0,
      ended_at: null,
    })
    .execute();
  // A roll closes its hosts one after the other.
  if (ask.kind === 'roll') return;
  for (const host of ask.hosts) await markDraining(db, request.id, host, now);
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
  request: string,
  host: string,
  now: RawBuilder<number>,
): Promise<void> {
  const mark = { draining_for: request, draining_since: now };
  await db
    .insertInto('host_marks')
    .values({ host, ...mark })
    .onConflict((conflict) => conflict.column('host').doUpdateSet(mark))
    .execute();
}

/** Guests may come to it again; where a request is named, only if it is that one which keeps them away. */
export async function openHost(db: Db, host: string, request?: string): Promise<void> {
  await raiseAdmission(db);
  let update = db
    .updateTable('host_marks')
    .set({ draining_for: null, draining_since: null })
    .where('host', '=', host);
  if (request !== undefined) update = update.where('draining_for', '=', request);
  await update.execute();
}

async function checkNoneOpen(db: Db, { ask }: FleetRequest): Promise<void> {
  const isMigration = ask.kind === 'migration';
  const open = await db
    .selectFrom('requests')
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
    if (of[0] !== undefined)
      throw godwitError('GODWIT_REQUEST_OPEN', { subject: of[0], request: id });
  }
}

/** A request is read and decided again with each step, and no caller takes all the time of the others. */
async function checkCount(db: Db, { ask, createdBy }: FleetRequest): Promise<void> {
  // The guests of a dead host do not wait for it, and there is one such request of a host at most.
  if (ask.kind === 'recover') return;
  const { open } = await db
    .selectFrom('requests')
    .select(db.fn.countAll<number>().as('open'))
    .where('created_by', '=', createdBy)
    .where('ended_at', 'is', null)
    .executeTakeFirstOrThrow();
  if (Number(open) < MAX_OPEN_OF_ONE) return;
  const what = `the count of open requests of ${createdBy}`;
  throw godwitError('GODWIT_OVERLOADED', { what, limit: MAX_OPEN_OF_ONE });
}

/** Those of the hosts that this request empties still. */
async function markedFor(db: Db, request: string, hosts: readonly string[]): Promise<string[]> {
  if (hosts.length === 0) return [];
  const rows = await db
    .selectFrom('host_marks')
    .select('host')
    .where('draining_for', '=', request)
    .execute();
  const marked = new Set(rows.map(({ host }) => host));
  return hosts.filter((host) => marked.has(host));
}

/** The request that was asked for under this id. GODWIT_REQUEST_TAKEN where that was something else. */
export async function sameAsked(
  db: Db,
  id: string,
  ask: FleetRequestAsk,
): Promise<FleetRequest | undefined> {
  const row = await db
    .selectFrom('requests')
    .select('body')
    .where('id', '=', id)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const known = readRequest(row.body);
  if (isDeepStrictEqual(known.ask, requestAsk.parse(ask))) return known;
  throw godwitError('GODWIT_REQUEST_TAKEN', { request: id });
}

/** False where it has ended, or there is none. A cancel that asks for more than an earlier one counts. */
export async function cancelRequest(db: Db, id: string, asked: number): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('requests')
    .set((eb) => ({
      cancel_asked: sql<number>`case when cancel_asked > ${asked} then cancel_asked else ${eb.val(asked)} end`,
      due_at: 0,
    }))
    .where('id', '=', id)
    .where('ended_at', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** The open request that empties this host. */
export async function openDrain(db: Db, host: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('host_marks')
    .innerJoin('requests', 'requests.id', 'host_marks.draining_for')
    .select('requests.id')
    .where('host_marks.host', '=', host)
    .where('requests.ended_at', 'is', null)
    .executeTakeFirst();
  return row?.id;
}

/**
 * Guests may come to the host again. The open request that empties it is cancelled, or, where that is an evacuation which has
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
  if (left === undefined) await cancelRequest(db, open, cancel);
  // What was decided by then counted this host as one to be emptied.
  else
    await db
      .updateTable('requests')
      .set({ due_at: 0, version: sql<number>`version + 1` })
      .where('id', '=', open)
      .execute();
}
