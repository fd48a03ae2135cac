import { shardOf } from '../inventory/shards.ts';
import { standing, type HeldShards } from '../inventory/leases.ts';
import type { PastMigration } from '../history/rates.ts';
import type { NewMigration } from '../history/record.ts';
import {
  begin,
  end,
  isReported,
  type KnownMigration,
  type MigrationKey,
} from './migration-rows.ts';
import type { Store } from './store.ts';
import type { MigrationRow } from './tables.ts';
import type { Db } from './request-rows.ts';

const IDS_AT_ONCE = 500;
const MAX_OPEN = 1000;
const MAX_FOUND = 64;

export function knownKey({ id, from }: { readonly id: string; readonly from: string }): string {
  return `${id} ${from}`;
}

export interface News {
  readonly begun: ReadonlySet<NewMigration>;
  readonly ended: ReadonlySet<NewMigration>;
  /** Open ones that the host itself reports. */
  readonly own: ReadonlySet<NewMigration>;
}

export interface FoundMigration {
  readonly row: ListedMigration;
  readonly report: string | null;
}

export type ListedMigration = Omit<MigrationRow, 'report' | 'figures'> & {
  readonly request: string | null;
  readonly by: string | null;
};

export interface MigrationFilter {
  readonly guest?: string | undefined;
  readonly host?: string | undefined;
  readonly state?: 'open' | 'ended' | undefined;
  readonly outcome?: string | undefined;
  readonly sinceMs?: number | undefined;
  readonly after?: { readonly startedAtMs: number; readonly id: string } | undefined;
}

export class Migrations {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Known from the host's or their sources' reports. By id and source. */
  async known(
    host: string,
    reported: readonly { readonly id: string; readonly from: string }[],
  ): Promise<Map<string, KnownMigration>> {
    const found = new Map<string, KnownMigration>();
    for (let at = 0; at < reported.length; at += IDS_AT_ONCE) {
      const some = reported.slice(at, at + IDS_AT_ONCE);
      const tellers = [...new Set([host, ...some.map(({ from }) => from)])];
      const rows = await this.#store.db
        .selectFrom('migrations')
        .select(['id', 'source', 'told_by', 'outcome', 'side'])
        .where(
          'id',
          'in',
          some.map(({ id }) => id),
        )
        .where('told_by', 'in', tellers)
        .execute();
      for (const { id, source, told_by: teller, ...rest } of rows) {
        const key = knownKey({ id, from: source });
        if (teller === source || (teller === host && !found.has(key))) found.set(key, rest);
      }
    }
    return found;
  }

  async openOf(host: string): Promise<NewMigration[]> {
    const query = this.#store.db.selectFrom('migrations').selectAll().where('told_by', '=', host);
    const rows = await query.where('ended_at', 'is', null).limit(MAX_OPEN).execute();
    return rows.map(({ epoch: _epoch, ...row }) => row);
  }

  /**
   * Undefined if another controller has the shard's lease. Ended rows do not change. A host writes only its own rows;
   * see migration-rows.ts. A cancel goes to the reporting host.
   */
  async write(
    held: HeldShards,
    host: string,
    rows: readonly NewMigration[],
  ): Promise<News | undefined> {
    return this.#store.transaction(async (db) => {
      const epoch = (await standing(db, this.#store, held)).get(shardOf(host));
      if (epoch === undefined) return undefined;
      const news = {
        begun: new Set<NewMigration>(),
        ended: new Set<NewMigration>(),
        own: new Set<NewMigration>(),
      };
      let open = await countOpen(db, host);
      for (const each of rows) {
        const row = { ...each, told_by: host, epoch };
        if (row.ended_at === null && open >= MAX_OPEN && !(await isReported(db, row))) continue;
        if (row.ended_at === null) open += 1;
        if (await begin(db, row)) news.begun.add(each);
        if (row.ended_at !== null && (await end(db, row))) news.ended.add(each);
        if (row.ended_at === null && (await isReported(db, row))) news.own.add(each);
      }
      return news;
    });
  }

  async list(filter: MigrationFilter, most: number): Promise<ListedMigration[]> {
    let rows = listed(this.#store).orderBy('started_at', 'desc').orderBy('migrations.id', 'desc');
    const { guest, host, state, outcome, sinceMs, after } = filter;
    if (guest !== undefined) rows = rows.where('migrations.guest', '=', guest);
    if (host !== undefined)
      rows = rows.where((eb) =>
        eb.or([eb('migrations.source', '=', host), eb('migrations.destination', '=', host)]),
      );
    if (state !== undefined)
      rows = rows.where('migrations.ended_at', state === 'open' ? 'is' : 'is not', null);
    if (outcome !== undefined) rows = rows.where('migrations.outcome', '=', outcome);
    if (sinceMs !== undefined) rows = rows.where('started_at', '>=', sinceMs);
    if (after !== undefined)
      rows = rows.where((eb) =>
        eb(eb.refTuple('started_at', 'migrations.id'), '<', eb.tuple(after.startedAtMs, after.id)),
      );
    return rows.limit(most).execute();
  }

  /** Several hosts may report one id. */
  async find(id: string, source?: string): Promise<FoundMigration[]> {
    const all = listed(this.#store).select('migrations.report').where('migrations.id', '=', id);
    const some = source === undefined ? all : all.where('migrations.source', '=', source);
    const rows = await some.orderBy('migrations.started_at').limit(MAX_FOUND).execute();
    return rows.map(({ report, ...row }) => ({ row, report }));
  }

  async get({ id, source, told_by }: MigrationKey): Promise<FoundMigration | undefined> {
    const found = await listed(this.#store)
      .select('migrations.report')
      .where('migrations.id', '=', id)
      .where('migrations.source', '=', source)
      .where('migrations.told_by', '=', told_by)
      .executeTakeFirst();
    if (found === undefined) return undefined;
    const { report, ...row } = found;
    return { row, report };
  }

  async reportedBy(host: string, id: string): Promise<FoundMigration | undefined> {
    const all = await this.find(id);
    return all.find(({ row, report }) => row.told_by === host && report !== null);
  }

  async reportsSince(host: string, sinceMs: number, most: number): Promise<string[]> {
    const rows = await this.#store.db
      .selectFrom('migrations')
      .select('report')
      .where('told_by', '=', host)
      .where('ended_at', '>=', sinceMs)
      .where('report', 'is not', null)
      .orderBy('ended_at', 'desc')
      .limit(most)
      .execute();
    return rows.flatMap(({ report }) => report ?? []);
  }

  /**
   * Replaces a report by a more complete one. Does nothing if another controller follows the host, or another host
   * reported the row.
   */
  async complete(held: HeldShards, host: string, id: string, report: string): Promise<void> {
    await this.#store.transaction(async (db) => {
      const epoch = (await standing(db, this.#store, held)).get(shardOf(host));
      if (epoch === undefined) return;
      const of = db.updateTable('migrations').set({ report, epoch }).where('id', '=', id);
      const told = of.where('told_by', '=', host).where('ended_at', 'is not', null);
      await told.where('report', 'is not', null).execute();
    });
  }

  async endedSince(
    sinceMs: number,
    most: number,
  ): Promise<Pick<MigrationRow, (typeof REPORTED)[number]>[]> {
    return this.#store.db
      .selectFrom('migrations')
      .select(REPORTED)
      .where('ended_at', '>=', sinceMs)
      .orderBy('ended_at', 'desc')
      .limit(most)
      .execute();
  }

  async rates(most: number): Promise<PastMigration[]> {
    return this.#store.db
      .selectFrom('migrations')
      .select(['guest', 'source', 'destination', 'ended_at as endedAtMs', 'total_ms as totalMs'])
      .select(['link_rate as linkRate', 'dirty_rate as dirtyRate'])
      .where('outcome', '=', 'done')
      .where((eb) => eb.or([eb('link_rate', 'is not', null), eb('dirty_rate', 'is not', null)]))
      .where('ended_at', 'is not', null)
      .where('total_ms', 'is not', null)
      .orderBy('ended_at', 'desc')
      .limit(most)
      .$narrowType<{ endedAtMs: number; totalMs: number }>()
      .execute();
  }

  async nowMs(): Promise<number> {
    const { now } = await this.#store.db
      .selectNoFrom(this.#store.nowMs.as('now'))
      .executeTakeFirstOrThrow();
    return now;
  }
}

async function countOpen(db: Db, host: string): Promise<number> {
  const { count } = await db
    .selectFrom('migrations')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('told_by', '=', host)
    .where('ended_at', 'is', null)
    .executeTakeFirstOrThrow();
  return Number(count);
}

const REPORTED = [
  ...(['id', 'guest', 'source', 'outcome', 'code', 'ended_at', 'total_ms', 'downtime_ms'] as const),
  ...(['client_gap_ms', 'bytes', 'link_rate', 'dirty_rate', 'figures'] as const),
] as const;

function listed({ db }: Pick<Store, 'db'>) {
  return db
    .selectFrom('migrations')
    .leftJoin('moves', (join) =>
      join.onRef('moves.id', '=', 'migrations.id').onRef('moves.source', '=', 'migrations.source'),
    )
    .leftJoin('requests', 'requests.id', 'moves.request_id')
    .select([
      'migrations.id',
      'migrations.guest',
      'migrations.source',
      'migrations.destination',
      'migrations.mode',
      'migrations.told_by',
      'migrations.side',
      'migrations.started_at',
      'migrations.ended_at',
      'migrations.outcome',
      'migrations.code',
      'migrations.words',
      'migrations.total_ms',
      'migrations.downtime_ms',
      'migrations.client_gap_ms',
      'migrations.bytes',
      'migrations.link_rate',
      'migrations.dirty_rate',
      'migrations.epoch',
      'moves.request_id as request',
      'requests.created_by as by',
    ]);
}
