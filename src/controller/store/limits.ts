import type { FleetLimits, LimitsChange } from '../../protocol/controller/limits.ts';
import { defined } from '../../protocol/defined.ts';
import type { Store } from './store.ts';
import { raiseAdmission } from './new-requests.ts';
import { limitsOf, marksOf, type Db } from './request-rows.ts';

export function readLimits(store: Store): Promise<FleetLimits> {
  return store.transaction(async (db) => {
    const { fleet, outPerHost, inPerHost, links } = await limitsOf(db);
    const marks = [...(await marksOf(db)).values()];
    const limited = marks.filter((each) => (each.outLimit ?? each.inLimit) !== undefined);
    return {
      fleet,
      out: outPerHost,
      in: inPerHost,
      hosts: limited
        .map(({ host, outLimit, inLimit }) => ({
          host,
          ...defined({ out: outLimit, in: inLimit }),
        }))
        .toSorted((one, other) => (one.host < other.host ? -1 : 1)),
      links: Object.entries(links).map(([name, most]) => {
        const [from = '', to = ''] = name.split('>');
        return { from, to, most };
      }),
    };
  });
}

/** Atomic. Null restores the default. */
export async function changeLimits(store: Store, change: LimitsChange): Promise<void> {
  await store.transaction(async (db) => {
    await raiseAdmission(db);
    await setLimit(db, ['fleet', ''], change.fleet);
    await setLimit(db, ['host', 'out'], change.out);
    await setLimit(db, ['host', 'in'], change.in);
    for (const { from, to, most } of change.links)
      await setLimit(db, ['link', `${from}>${to}`], most);
    for (const { host, out, in: into } of change.hosts) {
      const set = {
        ...defined({ out_limit: out, in_limit: into }),
      };
      if (Object.keys(set).length === 0) continue;
      await db
        .insertInto('host_marks')
        .values({ host, ...set })
        .onConflict((conflict) => conflict.column('host').doUpdateSet(set))
        .execute();
    }
  });
}

async function setLimit(
  db: Db,
  [scope, name]: readonly [string, string],
  most: number | null | undefined,
): Promise<void> {
  if (most === undefined) return;
  if (most === null) {
    await db.deleteFrom('limits').where('scope', '=', scope).where('name', '=', name).execute();
    return;
  }
  await db
    .insertInto('limits')
    .values({ scope, name, most })
    .onConflict((conflict) => conflict.columns(['scope', 'name']).doUpdateSet({ most }))
    .execute();
}
