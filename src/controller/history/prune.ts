import { sql, type RawBuilder } from 'kysely';
import type { MigrationKey } from '../store/migration-rows.ts';
import type { Store } from '../store/store.ts';
import type { Db } from '../store/request-rows.ts';

export interface HistoryPolicy {
  readonly days: number;
  readonly most: number;
  /** Size of their reports and figures, bytes. Default: 5 KiB each. */
  readonly maxBytes?: number | undefined;
}

export function bytesOf({ most, maxBytes = most * MEAN_BYTES }: HistoryPolicy): number {
  return maxBytes;
}

/** Rows per transaction, and transactions per turn; the rest waits for the next turn. */
const ROWS = 500;
const TURNS = 40;
const DAY_MS = 86_400_000;
const MEAN_BYTES = 5 * 1024;
const ROW_BYTES = 256;

/** Numbers of removed rows. `until`: by host, the end of the newest migration removed for want of room. */
export type PruneResult = Readonly<Record<'migrations' | 'requests', number>> & {
  readonly until: ReadonlyMap<string, number>;
};

/**
 * Rows that do not fit are taken from the hosts with most rows, oldest first, so that no host evicts another's history.
 */
export async function pruneHistory(store: Store, policy: HistoryPolicy): Promise<PruneResult> {
  const old = sql<number>`${store.nowMs} - ${sql.lit(policy.days * DAY_MS)}`;
  const until = new Map<string, number>();
  let [migrations, requests] = [0, 0];
  for (let turn = 0; turn < TURNS; turn += 1) {
    const gone = await store.transaction((db) => dropOld(db, old));
    migrations += gone;
    if (gone < ROWS) break;
  }
  for (const surplus of await overShare(store, policy)) {
    let left = surplus;
    for (let turn = 0; turn < TURNS; turn += 1) {
      const gone = await store.transaction((db) => dropSurplus(db, left));
      migrations += gone.count;
      if (gone.untilMs !== undefined) until.set(left.host, gone.untilMs);
      left = gone.left;
      if (gone.count < ROWS) break;
    }
  }
  for (let turn = 0; turn < TURNS; turn += 1) {
    const gone = await store.transaction((db) => dropRequests(db, old));
    requests += gone;
    if (gone < ROWS) break;
  }
  return { migrations, requests, until };
}

/**
 * Migrations that ended before this are not stored again, even if a host still reports them. ms since 1970, by the
 * database's clock.
 */
export interface Horizon {
  readonly allMs: number;
  readonly hosts: ReadonlyMap<string, number>;
}

export async function horizonOf(
  store: Store,
  policy: HistoryPolicy,
  until: ReadonlyMap<string, number> = new Map(),
): Promise<Horizon> {
  const { now } = await store.db.selectNoFrom(store.nowMs.as('now')).executeTakeFirstOrThrow();
  const hosts = new Map(until);
  const kept = await keptOf(store);
  const level = shareOf(
    kept.map(({ rows }) => rows),
    policy.most,
  );
  for (const { host, rows, oldestMs } of kept)
    if (rows >= level) hosts.set(host, Math.max(oldestMs, hosts.get(host) ?? 0));
  return { allMs: now - policy.days * DAY_MS, hosts };
}

interface KeptOfHost {
  readonly host: string;
  readonly rows: number;
  readonly bytes: number;
  readonly oldestMs: number;
}

const ROW_OCTETS = sql<number>`coalesce(octet_length(report), 0) + coalesce(octet_length(figures), 0) + coalesce(octet_length(words), 0) + ${sql.lit(ROW_BYTES)}`;

async function keptOf({ db }: Pick<Store, 'db'>): Promise<KeptOfHost[]> {
  const rows = await db
    .selectFrom('migrations')
    .select(({ fn }) => [
      'told_by as host',
      fn.countAll<number>().as('rows'),
      sql<number>`sum(${ROW_OCTETS})`.as('bytes'),
      fn.min<number>('ended_at').as('oldestMs'),
    ])
    .where('ended_at', 'is not', null)
    .groupBy('told_by')
    .execute();
  return rows.map(({ host, rows: count, bytes, oldestMs }) => ({
    host,
    rows: Number(count),
    bytes: Number(bytes),
    oldestMs,
  }));
}

/**
 * The largest limit per host that keeps the sum within `total`; hosts with less keep everything. Infinity if there is
 * room.
 */
export function shareOf(amounts: readonly number[], total: number): number {
  if (amounts.reduce((sum, each) => sum + each, 0) < total) return Number.POSITIVE_INFINITY;
  const sorted = amounts.toSorted((one, other) => one - other);
  let left = total;
  for (const [at, amount] of sorted.entries()) {
    const share = Math.floor(left / (sorted.length - at));
    if (amount > share) return share;
    left -= amount;
  }
  return sorted.at(-1) ?? Number.POSITIVE_INFINITY;
}

type Surplus = Pick<KeptOfHost, 'host' | 'rows' | 'bytes'>;

async function overShare(store: Store, policy: HistoryPolicy): Promise<Surplus[]> {
  const kept = await keptOf(store);
  const rowShare = shareOf(
    kept.map(({ rows }) => rows),
    policy.most,
  );
  const byteShare = shareOf(
    kept.map(({ bytes }) => bytes),
    bytesOf(policy),
  );
  return kept
    .map(({ host, rows, bytes }) => ({ host, rows: rows - rowShare, bytes: bytes - byteShare }))
    .filter(({ rows, bytes }) => rows > 0 || bytes > 0);
}

async function dropSurplus(
  db: Db,
  surplus: Surplus,
): Promise<{
  readonly count: number;
  readonly untilMs: number | undefined;
  readonly left: Surplus;
}> {
  const { host } = surplus;
  const oldest = await db
    .selectFrom('migrations')
    .select(['id', 'source', 'ended_at', ROW_OCTETS.as('bytes')])
    .where('told_by', '=', host)
    .where('ended_at', 'is not', null)
    .orderBy('ended_at')
    .limit(ROWS)
    .execute();
  let { rows, bytes } = surplus;
  let count = 0;
  for (const row of oldest) {
    if (rows <= 0 && bytes <= 0) break;
    await dropRow(db, { ...row, told_by: host });
    rows -= 1;
    bytes -= Number(row.bytes);
    count += 1;
  }
  const untilMs = oldest[count - 1]?.ended_at ?? undefined;
  return { count, untilMs, left: { host, rows, bytes } };
}

async function dropOld(db: Db, old: RawBuilder<number>): Promise<number> {
  const key = ['id', 'source', 'told_by'] as const;
  const aged = await db
    .selectFrom('migrations')
    .select(key)
    .where('ended_at', '<', old)
    .orderBy('ended_at')
    .limit(ROWS)
    .execute();
  // Rows of migrations about which their host reports no more.
  const stuck = await db
    .selectFrom('migrations')
    .select(key)
    .where('ended_at', 'is', null)
    .where('started_at', '<', old)
    .limit(ROWS)
    .execute();
  const gone = [...aged, ...stuck].slice(0, ROWS);
  for (const each of gone) await dropRow(db, each);
  return gone.length;
}

async function dropRow(db: Db, { id, source, told_by: host }: MigrationKey): Promise<void> {
  await db
    .deleteFrom('migrations')
    .where('id', '=', id)
    .where('source', '=', source)
    .where('told_by', '=', host)
    .execute();
}

async function dropRequests(db: Db, old: RawBuilder<number>): Promise<number> {
  const rows = await db
    .selectFrom('requests')
    .select('id')
    .where('ended_at', '<', old)
    .where('id', 'not in', (eb) =>
      eb.selectFrom('reservations').select('request_id').where('given_back_at', 'is', null),
    )
    .orderBy('ended_at')
    .limit(ROWS)
    .execute();
  const gone = rows.map(({ id }) => id);
  if (gone.length === 0) return 0;
  await db.deleteFrom('reservations').where('request_id', 'in', gone).execute();
  await db.deleteFrom('moves').where('request_id', 'in', gone).execute();
  await db.deleteFrom('claims').where('request_id', 'in', gone).execute();
  await db.deleteFrom('requests').where('id', 'in', gone).execute();
  return gone.length;
}
