import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { callerKey, cutShares, rankOf, type AuditRank, type CutShare } from '../audit/retention.ts';
import type { Store } from './store.ts';
import type { AuditRow, Database } from './tables.ts';

export type NewAuditRow = Omit<AuditRow, 'id' | 'at' | 'rank' | 'caller'>;

export interface AuditPolicy {
  readonly days: number;
  readonly most: number;
}

export interface AuditFilter {
  readonly who?: string | undefined;
  readonly what?: string | undefined;
  readonly sinceMs?: number | undefined;
  readonly after?: { readonly atMs: number; readonly id: string } | undefined;
}

const DAY_MS = 86_400_000;

export async function audit({ schema }: Pick<Database, 'schema'>): Promise<void> {
  await schema
    .createTable('audit')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('controller', 'text', (c) => c.notNull())
    .addColumn('who', 'text', (c) => c.notNull())
    .addColumn('role', 'text', (c) => c.notNull())
    .addColumn('by', 'text', (c) => c.notNull())
    .addColumn('from', 'text')
    .addColumn('what', 'text', (c) => c.notNull())
    .addColumn('route', 'text', (c) => c.notNull())
    .addColumn('arguments', 'text')
    .addColumn('result', 'text')
    .addColumn('unkept', 'integer', (c) => c.notNull())
    .execute();
  await schema.createIndex('audit_age').on('audit').columns(['at', 'id']).execute();
  await schema.createIndex('audit_who').on('audit').columns(['who', 'at']).execute();
}

export async function auditShares(db: Database): Promise<void> {
  await db.schema
    .alterTable('audit')
    .addColumn('rank', 'text', (c) => c.notNull().defaultTo('change'))
    .execute();
  await db.schema
    .alterTable('audit')
    .addColumn('caller', 'text', (c) => c.notNull().defaultTo(''))
    .execute();
  await shareEntries(db);
  await db.schema
    .createIndex('audit_share')
    .on('audit')
    .columns(['rank', 'caller', 'at', 'id'])
    .execute();
}

/** rankOf and callerKey in SQL, for entries of earlier builds. Only refused attempts have a code and no arguments. */
export async function shareEntries(db: Database): Promise<void> {
  await db
    .updateTable('audit')
    .set({
      rank: sql<string>`case
        when arguments is null and result is not null and result <> 'ok' then 'attempt'
        when role in ('admin', 'local') then 'administrator'
        else 'change' end`,
      caller: sql<string>`case
        when role = 'none' then 'strangers'
        when ${sql.ref('by')} in ('certificate', 'socket') then ${sql.ref('by')} || ' ' || role || ' ' || who
        else 'web ' || role || ' ' || who end`,
    })
    .execute();
}

export class AuditRows {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async add(row: NewAuditRow): Promise<string> {
    const id = randomUUID();
    const { nowMs } = this.#store;
    const isRefused = row.arguments === null && row.result !== null && row.result !== 'ok';
    const share = { rank: rankOf(row, isRefused), caller: callerKey(row) };
    await this.#store.transaction((db) =>
      db
        .insertInto('audit')
        .values({ ...row, ...share, id, at: nowMs })
        .execute(),
    );
    return id;
  }

  async ended(id: string, result: string): Promise<void> {
    await this.#store.transaction((db) =>
      db.updateTable('audit').set({ result }).where('id', '=', id).execute(),
    );
  }

  async list({ who, what, sinceMs, after }: AuditFilter, most: number): Promise<AuditRow[]> {
    let rows = this.#store.db.selectFrom('audit').selectAll();
    if (who !== undefined) rows = rows.where('who', '=', who);
    if (what !== undefined) rows = rows.where('what', '=', what);
    if (sinceMs !== undefined) rows = rows.where('at', '>=', sinceMs);
    if (after !== undefined) {
      const { atMs, id } = after;
      rows = rows.where((eb) =>
        eb.or([eb('at', '<', atMs), eb.and([eb('at', '=', atMs), eb('id', '<', id)])]),
      );
    }
    return rows.orderBy('at', 'desc').orderBy('id', 'desc').limit(most).execute();
  }

  async prune({ days, most }: AuditPolicy): Promise<void> {
    const { nowMs } = this.#store;
    const old = sql<number>`${nowMs} - ${sql.lit(days * DAY_MS)}`;
    await this.#store.transaction((db) => db.deleteFrom('audit').where('at', '<', old).execute());
    const shares = await this.#store.db
      .selectFrom('audit')
      .select(['rank', 'caller'])
      .select(({ fn }) => [
        fn.countAll<number | bigint | string>().as('count'),
        fn.max<number>('at').as('newestMs'),
      ])
      .groupBy(['rank', 'caller'])
      .execute();
    const counted = shares.map(({ rank, count, ...share }) => {
      return { ...share, rank: rank as AuditRank, count: Number(count) };
    });
    for (const each of cutShares(counted, most)) await this.#cut(each);
  }

  /** Cuts by the newest entry to remove, since another controller may cut the same share concurrently. */
  async #cut({ rank, caller, keep }: CutShare): Promise<void> {
    await this.#store.transaction(async (db) => {
      const last = await db
        .selectFrom('audit')
        .select(['at', 'id'])
        .where('rank', '=', rank)
        .where('caller', '=', caller)
        .orderBy('at', 'desc')
        .orderBy('id', 'desc')
        .limit(1)
        .offset(keep)
        .executeTakeFirst();
      if (last === undefined) return;
      const { at, id } = last;
      await db
        .deleteFrom('audit')
        .where('rank', '=', rank)
        .where('caller', '=', caller)
        .where((eb) => eb.or([eb('at', '<', at), eb.and([eb('at', '=', at), eb('id', '<=', id)])]))
        .execute();
    });
  }
}
