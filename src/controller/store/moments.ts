import { sql, type RawBuilder, type Transaction } from 'kysely';
import type { Store } from './store.ts';
import type { Tables } from './tables.ts';

/**
 * Tells whether something is due that was scheduled at most `aheadMs` ahead, by the database's clock. If the clock was
 * set back, a moment further ahead counts as due; otherwise it would wait until the clock catches up. Not for leases:
 * see `boundLeases`.
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
 * Call before reading leases. A lease longer than `leaseMs` was written before the database's clock was set back, and
 * is cut to that length. A live controller renews it in time; a dead one's is free after one lease.
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
