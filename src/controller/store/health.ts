import { godwitError } from '../../errors.ts';
import { newRequest, requestAsk } from '../../protocol/controller/fleet-request.ts';
import { mayWrite, type HeldShards } from '../inventory/leases.ts';
import type { Store } from './store.ts';
import { addRequest, openDrain, raiseAdmission } from './new-requests.ts';
import type { Db } from './request-rows.ts';

/** An ill host. `words`: its failing hardware; empty if only an operator noted it. `request`: the resulting drain. */
export interface IllHost {
  readonly host: string;
  readonly sinceMs: number;
  readonly words: string;
  readonly request?: string;
}

export async function illHosts({ db }: Pick<Store, 'db'>): Promise<Map<string, IllHost>> {
  const rows = await db.selectFrom('host_health').selectAll().execute();
  return new Map(
    rows.map(({ host, began_at: sinceMs, words, request }) => [
      host,
      { host, sinceMs, words, ...(request === null ? {} : { request }) },
    ]),
  );
}

export async function maintenanceNotes({ db }: Pick<Store, 'db'>): Promise<Map<string, string>> {
  const rows = await db
    .selectFrom('host_marks')
    .select(['host', 'maintenance'])
    .where('maintenance', 'is not', null)
    .execute();
  return new Map(rows.map(({ host, maintenance }) => [host, maintenance ?? '']));
}

/** Null removes the note. GODWIT_HOST_UNKNOWN for an unknown host. */
export async function setMaintenance(
  store: Store,
  host: string,
  note: string | null,
): Promise<void> {
  await store.transaction(async (db) => {
    const known = await db
      .selectFrom('hosts')
      .select('name')
      .where('name', '=', host)
      .executeTakeFirst();
    if (known === undefined) throw godwitError('GODWIT_HOST_UNKNOWN', { host });
    await raiseAdmission(db);
    const set = { maintenance: note };
    await db
      .insertInto('host_marks')
      .values({ host, ...set })
      .onConflict((conflict) => conflict.column('host').doUpdateSet(set))
      .execute();
  });
}

/** Marks it as ill; a repeated call keeps the start and the drain. */
export async function writeIll(
  store: Store,
  held: HeldShards,
  { host, words }: Pick<IllHost, 'host' | 'words'>,
): Promise<void> {
  await store.transaction(async (db) => {
    if (!(await mayWrite(db, store, held, host))) return;
    await db
      .insertInto('host_health')
      .values({ host, began_at: store.nowMs, words, request: null })
      .onConflict((conflict) => conflict.column('host').doUpdateSet({ words }))
      .execute();
  });
}

/** Marks it as well; a drained host stays empty until an operator opens it. */
export async function writeWell(store: Store, held: HeldShards, host: string): Promise<void> {
  await store.transaction(async (db) => {
    if (!(await mayWrite(db, store, held, host))) return;
    await db.deleteFrom('host_health').where('host', '=', host).execute();
  });
}

const POLICY = 'the health policy';

async function drainedByPolicy(db: Db): Promise<number> {
  const { count } = await db
    .selectFrom('host_health')
    .innerJoin('requests', 'requests.id', 'host_health.request')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('requests.created_by', '=', POLICY)
    .executeTakeFirstOrThrow();
  return Number(count);
}

/**
 * Drains an ill host, once per illness, so that an operator's undrain stands. Undefined if it already has a drain, or
 * the limit of drained hosts is reached.
 */
export async function drainIll(
  store: Store,
  held: HeldShards,
  { host, id, most }: { readonly host: string; readonly id: string; readonly most: number },
): Promise<string | undefined> {
  return store.transaction(async (db) => {
    if (!(await mayWrite(db, store, held, host))) return undefined;
    await raiseAdmission(db);
    const rows = await db.selectFrom('host_health').select(['host', 'request']).execute();
    const own = rows.find((row) => row.host === host);
    if (own === undefined || own.request !== null) return undefined;
    let request = await openDrain(db, host);
    if (request === undefined) {
      if ((await drainedByPolicy(db)) >= most) return undefined;
      const ask = requestAsk.parse({ kind: 'drain', hosts: [host] });
      const { now: nowMs } = await db.selectNoFrom(store.nowMs.as('now')).executeTakeFirstOrThrow();
      await addRequest(db, newRequest(id, ask, { nowMs, by: POLICY }), store.nowMs);
      request = id;
    }
    await db.updateTable('host_health').set({ request }).where('host', '=', host).execute();
    return request;
  });
}
