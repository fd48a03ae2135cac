import { sql, type RawBuilder, type Transaction } from 'kysely';
import type { Store } from './store.ts';
import type { Tables } from './tables.ts';

/**
 * Whether something is due that was written as due in at most `aheadMs`. By the database's clock, which can be set back: a
 * moment that lies much further ahead was written before that, and is over too. Else it would stay undone until the clock
 * is there again. Not for leases: see `boundLeases`.
 */
export function isDue(
  column: string,
  { nowMs }: Pick<Store, 'nowMs'>,
  aheadMs: number,
): RawBuilder<boolean> {
  const moment = sql.ref(column);
  return sql<boolean>`(${moment} <= ${nowMs} or ${moment} > ${nowMs} + ${sql.lit(2 * aheadMs)})`;
}

const LEASES = {
  claims: 'lease_until',
  policies: 'lease_until',
  host_leases: 'lease_until',
  controllers: 'alive_until',
} as const;

/**
 * To be called before leases are looked at. One that holds for longer than `leaseMs` from now was written before the
 * database's clock was set back: from now on it holds for that long. A controller that lives renews it before, and keeps
 * it; what one left that died is free after one lease, and not only once the clock is there again.
 */
export async function boundLeases(
  db: Transaction<Tables>,
  { nowMs }: Pick<Store, 'nowMs'>,
  table: keyof typeof LEASES,
  leaseMs: number,
): Promise<void> {
  const until = sql.ref(LEASES[table]);
  const most = sql`${nowMs} + ${sql.lit(Math.round(leaseMs))}`;
  await sql`update ${sql.table(table)} set ${until} = ${most} where ${until} > ${most}`.execute(db);
}
