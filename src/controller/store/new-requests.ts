import { isDeepStrictEqual } from 'node:util';
import { sql, type RawBuilder } from 'kysely';
import { godwitError } from '../../errors.ts';
import {
  requestAsk,
  type FleetRequest,
  type FleetRequestAsk,
} from '../../protocol/controller/fleet-request.ts';
import { readRequest, subjectOf, type Db } from './request-rows.ts';

/** Open requests of one caller; the list of all has 1,000. */
export const MAX_OPEN_OF_ONE = 500;

/**
 * Marks its hosts as draining, except for a roll; a repetition changes nothing. GODWIT_REQUEST_TAKEN if the id belongs
 * to another request; GODWIT_REQUEST_OPEN if one for the same guest or one of its hosts is open; GODWIT_OVERLOADED
 * above `MAX_OPEN_OF_ONE`.
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
  if (ask.kind === 'roll') return;
  for (const host of ask.hosts) await markDraining(db, request.id, host, now);
}

/** Makes controllers that reserved room without seeing a changed mark decide again. */
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

/** Opens a host; with a request, only if that one closed it. */
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
    // A host may die while it is drained; the rest of that drain would wait forever.
    if (ask.kind === 'recover' && kind !== 'recover') continue;
    const same = subject.split(',').filter((each) => named.has(each));
    const of = kind === 'evacuate' ? await markedFor(db, id, same) : same;
    if (of[0] !== undefined)
      throw godwitError('GODWIT_REQUEST_OPEN', { subject: of[0], request: id });
  }
}

/** Limits open requests per caller, since each is read and decided at every step. */
async function checkCount(db: Db, { ask, createdBy }: FleetRequest): Promise<void> {
  // A recovery must not wait, and there is at most one per host.
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

/** GODWIT_REQUEST_TAKEN if its content differs. */
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

/** False if it has ended or does not exist. Only a stronger cancel replaces an earlier one. */
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

/** Opens the host. Cancels the open request that empties it, or removes it from an evacuation with other hosts. */
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
  else
    await db
      .updateTable('requests')
      .set({ due_at: 0, version: sql<number>`version + 1` })
      .where('id', '=', open)
      .execute();
}
