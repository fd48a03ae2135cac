import { shardOf } from '../inventory/shards.ts';
import { standing } from '../inventory/leases.ts';
import type { Held } from '../inventory/leases.ts';
import type { PastMigration } from '../history/rates.ts';
import type { NewMigration } from '../history/record.ts';
import type { Store } from './open.ts';
import type { MigrationRow } from './tables.ts';
import type { Db } from './wish-rows.ts';

/** Values of one statement. */
const IDS_AT_ONCE = 500;

/** What is known of a migration that a host reports. */
export interface KnownMigration {
  readonly outcome: string | null;
  readonly side: string;
}

/** Whether there is nothing more to be written of it. A migration that is held may go on, and the source knows most. */
export function isFinal({ outcome, side }: KnownMigration, reporter: string): boolean {
  if (outcome === null || outcome === 'held') return false;
  return side === 'source' || reporter === 'destination';
}

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

/** True where nobody had reported it. */
async function begin(db: Db, row: MigrationRow): Promise<boolean> {
  const { id, guest, source, destination, mode, told_by, side, started_at, epoch } = row;
  const open = { id, guest, source, destination, mode, told_by, side, started_at, epoch };
  if (await isOfAnotherMove(db, row)) return false;
  if (told_by === source) await dropHearsay(db, row);
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('migrations')
    .values(open)
    .onConflict((conflict) => conflict.column('id').doNothing())
    .executeTakeFirst();
  if (numInsertedOrUpdatedRows === 1n) return true;
  if (told_by === source) {
    const known = db.updateTable('migrations').set({ told_by, side, epoch }).where('id', '=', id);
    const same = known.where('guest', '=', guest).where('destination', '=', destination);
    const another = same.where('source', '=', source).where('told_by', '!=', source);
    await another.where('ended_at', 'is', null).execute();
  }
  return false;
}

/**
 * A destination alone reported another migration of that id: it may have made it up, and a source’s word of its own is not
 * kept out by that.
 */
async function dropHearsay(
  db: Db,
  { id, guest, source, destination }: NewMigration,
): Promise<void> {
  await db
    .deleteFrom('migrations')
    .where('id', '=', id)
    .where('side', '=', 'destination')
    .where((eb) =>
      eb.or([
        eb('guest', '!=', guest),
        eb('source', '!=', source),
        eb('destination', '!=', destination),
      ]),
    )
    .execute();
}

/** Whether a wish asked for a move of that id, and this is not it. */
async function isOfAnotherMove(db: Db, row: NewMigration): Promise<boolean> {
  const { id, guest, source, destination } = row;
  const columns = ['guest', 'source', 'destination'] as const;
  const move = await db.selectFrom('moves').select(columns).where('id', '=', id).executeTakeFirst();
  if (move === undefined) return false;
  return move.guest !== guest || move.source !== source || move.destination !== destination;
}

async function isReporter(db: Db, { id, told_by }: NewMigration): Promise<boolean> {
  const found = db.selectFrom('migrations').select('id').where('id', '=', id);
  return (await found.where('told_by', '=', told_by).executeTakeFirst()) !== undefined;
}

/** True where nobody had reported that it ended. */
async function end(db: Db, row: MigrationRow): Promise<boolean> {
  const { id, guest, source, destination, started_at: _started, told_by, ...rest } = row;
  const before = await db
    .selectFrom('migrations')
    .select(['outcome', 'side', 'told_by'])
    .where('id', '=', id)
    .executeTakeFirst();
  if (before === undefined || isFinal(before, row.side) || before.outcome === row.outcome)
    return false;
  const mayReport = new Set([before.told_by, source]);
  if (row.side === 'destination') mayReport.add(destination);
  if (!mayReport.has(told_by)) return false;
  const { numUpdatedRows } = await db
    .updateTable('migrations')
    .set({ ...rest, told_by: told_by === source ? source : before.told_by })
    .where('id', '=', id)
    .where('guest', '=', guest)
    .where('source', '=', source)
    .where('destination', '=', destination)
    .executeTakeFirst();
  return numUpdatedRows === 1n && (before.outcome === null || before.outcome === 'held');
}
