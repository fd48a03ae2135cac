import { shardOf } from '../inventory/shards.ts';
import { standing } from '../inventory/leases.ts';
import type { Held } from '../inventory/leases.ts';
import type { PastMigration } from '../history/rates.ts';
import type { NewMigration } from '../history/record.ts';
import { begin, end, isReporter } from './migration-rows.ts';
import type { KnownMigration } from './migration-rows.ts';
import type { Store } from './open.ts';
import type { MigrationRow } from './tables.ts';

/** Values of one statement. */
const IDS_AT_ONCE = 500;

/** Of those that were written: what nobody had reported before. */
export interface News {
  readonly begun: ReadonlySet<string>;
  readonly ended: ReadonlySet<string>;
  /** Of these, those that are open and that the host reports. */
  readonly own: ReadonlySet<string>;
}

/** A row without what is long, and which wish asked for it. */
export type ListedMigration = Omit<MigrationRow, 'report' | 'figures'> & {
  readonly wish: string | null;
  readonly by: string | null;
};

export interface MigrationFilter {
  readonly guest?: string | undefined;
  readonly host?: string | undefined;
  readonly state?: 'open' | 'ended' | undefined;
  readonly outcome?: string | undefined;
  readonly sinceMs?: number | undefined;
  /** Behind that one, newest first. */
  readonly after?: { readonly startedAtMs: number; readonly id: string } | undefined;
}

/** The history of migrations in the controller's database. */
export class Migrations {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Those of these that are known. */
  async known(ids: readonly string[]): Promise<Map<string, KnownMigration>> {
    const found = new Map<string, KnownMigration>();
    for (let at = 0; at < ids.length; at += IDS_AT_ONCE) {
      const rows = await this.#store.db
        .selectFrom('migrations')
        .select(['id', 'outcome', 'side'])
        .where('id', 'in', ids.slice(at, at + IDS_AT_ONCE))
        .execute();
      for (const { id, ...rest } of rows) found.set(id, rest);
    }
    return found;
  }

  /** Those that a host reported, and of which no host reported yet that they ended. */
  async openOf(host: string): Promise<NewMigration[]> {
    const query = this.#store.db.selectFrom('migrations').selectAll().where('told_by', '=', host);
    const rows = await query.where('ended_at', 'is', null).limit(1000).execute();
    return rows.map(({ epoch: _epoch, ...row }) => row);
  }

  /**
   * Writes what a host reported, under the lease of its shard; undefined where another controller has that by now. What has
   * come to its end stays as it was written, whoever reports it again; an id becomes another migration's only where a
   * destination alone had reported the first, and a source reports the other; one
   * that a wish asked for is its move's. What is open goes to its source, and from there to no other host: a cancel does.
   */
  async write(held: Held, host: string, rows: readonly NewMigration[]): Promise<News | undefined> {
    return this.#store.transaction(async (db) => {
      const epoch = (await standing(db, this.#store, held)).get(shardOf(host));
      if (epoch === undefined) return undefined;
      const news = { begun: new Set<string>(), ended: new Set<string>(), own: new Set<string>() };
      for (const row of rows) {
        if (await begin(db, { ...row, epoch })) news.begun.add(row.id);
        if (row.ended_at !== null && (await end(db, { ...row, epoch }))) news.ended.add(row.id);
        if (row.ended_at === null && (await isReporter(db, row))) news.own.add(row.id);
      }
      return news;
    });
  }

  /** Newest first. */
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

  /** With its report as it is kept; undefined where there is none of that id. */
  async get(id: string): Promise<{ row: ListedMigration; report: string | null } | undefined> {
    const found = await listed(this.#store)
      .select('migrations.report')
      .where('migrations.id', '=', id)
      .executeTakeFirst();
    if (found === undefined) return undefined;
    const { report, ...row } = found;
    return { row, report };
  }

  /** Reports, as they are kept, of migrations that this host told of and that ended from that moment on, the newest first. */
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
   * A report that says more by now takes the place of the one that its host gave at the end. Nothing where another
   * controller has the host, or another host has told of it.
   */
  async complete(held: Held, host: string, id: string, report: string): Promise<void> {
    await this.#store.transaction(async (db) => {
      const epoch = (await standing(db, this.#store, held)).get(shardOf(host));
      if (epoch === undefined) return;
      const of = db.updateTable('migrations').set({ report, epoch }).where('id', '=', id);
      const told = of.where('told_by', '=', host).where('ended_at', 'is not', null);
      await told.where('report', 'is not', null).execute();
    });
  }

  /** Those that ended from that moment on, the newest first, with their figures. */
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

  /** Of the newest ones that came to their end and say something about a link or a guest. */
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

  /** By the database's clock. */
  async nowMs(): Promise<number> {
    const { now } = await this.#store.db
      .selectNoFrom(this.#store.nowMs.as('now'))
      .executeTakeFirstOrThrow();
    return now;
  }
}

const REPORTED = [
  ...(['id', 'guest', 'source', 'outcome', 'code', 'ended_at', 'total_ms', 'downtime_ms'] as const),
  ...(['client_gap_ms', 'bytes', 'link_rate', 'dirty_rate', 'figures'] as const),
] as const;

function listed({ db }: Pick<Store, 'db'>) {
  return db
    .selectFrom('migrations')
    .leftJoin('moves', 'moves.id', 'migrations.id')
    .leftJoin('wishes', 'wishes.id', 'moves.wish_id')
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
      'moves.wish_id as wish',
      'wishes.created_by as by',
    ]);
}
