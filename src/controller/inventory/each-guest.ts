import type { Store } from '../store/store.ts';
import { mergeRows } from './claims.ts';

/**
 * One statement, so that a moving guest, which two hosts report, is neither counted twice nor missed. Reads only
 * reports of guests that have several.
 */
export async function guestCounts({
  db,
  nowMs,
}: Pick<Store, 'db' | 'nowMs'>): Promise<Map<string, number>> {
  const several = db
    .selectFrom('guests')
    .select('name')
    .groupBy('name')
    .having((eb) => eb.fn.countAll(), '>', 1);
  const reports = db
    .selectFrom('guests')
    .select((eb) => {
      const isOne = eb('name', 'not in', several);
      return [
        'state',
        eb.case().when(isOne).then(null).else(eb.ref('host')).end().as('host'),
        eb.case().when(isOne).then(null).else(eb.ref('name')).end().as('name'),
        eb.case().when(isOne).then(null).else(eb.ref('uuid')).end().as('uuid'),
        eb.case().when(isOne).then(null).else(eb.ref('info')).end().as('info'),
        eb.case().when(isOne).then(null).else(eb.ref('changed_at')).end().as('changed_at'),
      ];
    })
    .as('reports');
  const rows = await db
    .selectFrom(reports)
    .select(['state', ...COLUMNS])
    .select((eb) => [eb.fn.countAll<number>().as('count'), nowMs.as('now')])
    .groupBy(['state', ...COLUMNS])
    .execute();
  const counts = new Map<string, number>();
  const add = (state: string, count: number): void => {
    counts.set(state, (counts.get(state) ?? 0) + count);
  };
  const merging = rows.flatMap(({ host, name, uuid, info, changed_at: at, state }) =>
    host === null || name === null || uuid === null || info === null || at === null
      ? []
      : [{ host, name, uuid, info, changed_at: at, state }],
  );
  for (const { host, state, count } of rows) if (host === null) add(state, Number(count));
  for (const { row } of mergeRows(merging, rows[0]?.now ?? 0)) add(row.state, 1);
  return counts;
}

/** More namesakes are not read: such a number is a program's mistake. */
const MAX_PER_NAME = 1000;

/** Finds where a guest is, not where it is arriving; a host that it left reports it for a while. */
export async function homesOf(
  { db, nowMs }: Pick<Store, 'db' | 'nowMs'>,
  guest: string,
): Promise<string[]> {
  const rows = await db
    .selectFrom('guests')
    .selectAll()
    .select(nowMs.as('now'))
    .where('name', '=', guest)
    .orderBy('host')
    .limit(MAX_PER_NAME)
    .execute();
  const homes = mergeRows(rows, rows[0]?.now ?? 0).filter(({ row }) => row.state !== 'incoming');
  return homes.map(({ row }) => row.host);
}

const COLUMNS = ['host', 'name', 'uuid', 'info', 'changed_at'] as const;
