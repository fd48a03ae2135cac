import type { RawBuilder } from 'kysely';
import { mayWrite, type HeldShards } from '../inventory/leases.ts';
import type { PowerState } from '../requests/facts.ts';
import type { Store } from './store.ts';
import { raiseAdmission } from './new-requests.ts';
import type { Db } from './request-rows.ts';

/** Closes a host before it sleeps. False if it has or expects a guest, or an operator has closed it. */
export async function closeForSleep(
  store: Store,
  held: HeldShards,
  host: string,
): Promise<boolean> {
  return store.transaction(async (db) => {
    if (!(await mayWrite(db, store, held, host))) return false;
    await raiseAdmission(db);
    // Even an old report counts: a host that may have a guest stays on.
    const guest = await db
      .selectFrom('guests')
      .select('name')
      .where('host', '=', host)
      .limit(1)
      .executeTakeFirst();
    const promise = await db
      .selectFrom('reservations')
      .select('move_id')
      .where((eb) => eb.or([eb('host', '=', host), eb('source', '=', host)]))
      .where('given_back_at', 'is', null)
      .limit(1)
      .executeTakeFirst();
    const closed = await db
      .selectFrom('host_marks')
      .select('host')
      .where('host', '=', host)
      .where((eb) => eb.or([eb('draining_for', 'is not', null), eb('maintenance', 'is not', null)]))
      .executeTakeFirst();
    if ((guest ?? promise ?? closed) !== undefined) return false;
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('host_power')
      .values({ host, state: 'falling-asleep' satisfies PowerState, since: store.nowMs })
      .onConflict((conflict) => conflict.column('host').doNothing())
      .executeTakeFirst();
    return numInsertedOrUpdatedRows === 1n;
  });
}

/** Changes the state; `on`: an ordinary host. False if the state is no longer the expected one. */
export async function setPower(
  store: Store,
  held: HeldShards,
  {
    host,
    from,
    to,
  }: { readonly host: string; readonly from: PowerState; readonly to: PowerState | 'on' },
): Promise<boolean> {
  return store.transaction(async (db) => {
    if (!(await mayWrite(db, store, held, host))) return false;
    if (to === 'on') {
      const { numDeletedRows } = await db
        .deleteFrom('host_power')
        .where('host', '=', host)
        .where('state', '=', from)
        .executeTakeFirst();
      return numDeletedRows === 1n;
    }
    const { numUpdatedRows } = await db
      .updateTable('host_power')
      .set({ state: to, since: store.nowMs })
      .where('host', '=', host)
      .where('state', '=', from)
      .executeTakeFirst();
    return numUpdatedRows === 1n;
  });
}

export async function askToWake(
  db: Db,
  hosts: readonly string[],
  now: RawBuilder<number>,
): Promise<void> {
  if (hosts.length === 0) return;
  await db
    .updateTable('host_power')
    .set({ state: 'waking' satisfies PowerState, since: now })
    .where('host', 'in', hosts)
    .where('state', '!=', 'waking')
    .execute();
}
