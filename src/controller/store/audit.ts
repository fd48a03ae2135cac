import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Store } from './open.ts';
import type { AuditRow, Database } from './tables.ts';

export type NewAuditRow = Omit<AuditRow, 'id' | 'at'>;

/** How long entries are kept, and how many. */
export interface AuditPolicy {
  readonly days: number;
  readonly most: number;
}

export interface AuditFilter {
  readonly who?: string | undefined;
  readonly what?: string | undefined;
  readonly sinceMs?: number | undefined;
  /** Behind that one, newest first. */
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

/** The audit log in the controller's database. */
export class AuditRows {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Its id. */
  async add(row: NewAuditRow): Promise<string> {
    const id = randomUUID();
    const { db, nowMs } = this.#store;
    await db
      .insertInto('audit')
      .values({ ...row, id, at: nowMs })
      .execute();
    return id;
  }

  async ended(id: string, result: string): Promise<void> {
    await this.#store.db.updateTable('audit').set({ result }).where('id', '=', id).execute();
  }

  /** Newest first. */
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

  /** Removes what the policy keeps no longer: what is too old, and the oldest of too many. */
  async prune({ days, most }: AuditPolicy): Promise<void> {
    const { db, nowMs } = this.#store;
    const old = sql<number>`${nowMs} - ${sql.lit(days * DAY_MS)}`;
    await db.deleteFrom('audit').where('at', '<', old).execute();
    const last = await db
      .selectFrom('audit')
      .select(['at', 'id'])
      .orderBy('at', 'desc')
      .orderBy('id', 'desc')
      .limit(1)
      .offset(most)
      .executeTakeFirst();
    if (last === undefined) return;
    const { at, id } = last;
    await db
      .deleteFrom('audit')
      .where((eb) => eb.or([eb('at', '<', at), eb.and([eb('at', '=', at), eb('id', '<=', id)])]))
      .execute();
  }
}
