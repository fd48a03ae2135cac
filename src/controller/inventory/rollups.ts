import { sql } from 'kysely';
import type { Clock } from '../../clock.ts';
import type { Store } from '../store/store.ts';
import { standing, type HeldShards } from './leases.ts';
import { GUEST_HOURS_KEPT_MS, writeGuestHours } from './guest-hours.ts';
import { LOOKS_KEPT_MS, type Look } from './guest-looks.ts';
import type { HostSamples, Point, RollupPoint } from './samples.ts';

const KEPT_MS = {
  minute: 2 * 3_600_000,
  hour: 30 * 24 * 3_600_000,
  look: LOOKS_KEPT_MS,
  guests: GUEST_HOURS_KEPT_MS,
} as const;
const PRUNE_MS = 1_800_000;
const AT_ONCE = 32;

/** Host -> count, then mean and maximum of each measure. */
type Body = Record<string, readonly number[]>;

interface Row {
  readonly shard: number;
  readonly span: string;
  readonly at: number;
  readonly hosts: Record<string, unknown>;
  readonly from: { readonly samples: HostSamples; readonly part: RollupPoint | Look }[];
}

interface SampledHost {
  readonly host: string;
  readonly shard: number;
  readonly samples: HostSamples;
}

/** One row for all hosts of a shard and a minute or hour, many rows per transaction. */
export class Rollups {
  readonly #store: Store;
  readonly #clock: Clock;
  #prunedMs = -Infinity;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Unwritten points stay with their host and are tried again: a lease may come back. */
  async write(held: HeldShards, all: Iterable<SampledHost>): Promise<void> {
    if (held.size === 0) return;
    const rows = [...rowsOf(this.#clock.wallMs(), all).values()];
    for (let at = 0; at < rows.length; at += AT_ONCE) {
      const written = await this.#insert(held, rows.slice(at, at + AT_ONCE));
      for (const { samples, part } of written.flatMap(({ from }) => from))
        if ('span' in part) samples.written(part);
        else samples.looks.written(part);
    }
    await this.#prune();
  }

  async #insert(held: HeldShards, rows: readonly Row[]): Promise<readonly Row[]> {
    return this.#store.transaction(async (db) => {
      const leases = await standing(db, this.#store, held);
      const ours = rows.filter((row) => leases.has(row.shard));
      for (const { shard, span, at, hosts } of ours) {
        const place = db.selectFrom('rollups').select('body').where('shard', '=', shard);
        const there = await place.where('span', '=', span).where('at', '=', at).executeTakeFirst();
        // Hosts of one shard end a minute at slightly different moments.
        const before = there === undefined ? {} : bodyOf(there.body);
        const body = JSON.stringify({ ...before, ...joined(span, before, hosts) });
        await db
          .insertInto('rollups')
          .values({ shard, span, at, body })
          .onConflict((conflict) => conflict.columns(['shard', 'span', 'at']).doUpdateSet({ body }))
          .execute();
      }
      return ours;
    });
  }

  async #prune(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#prunedMs < PRUNE_MS) return;
    // Must run before its looks are removed.
    await writeGuestHours(this.#store);
    for (const [span, keptMs] of Object.entries(KEPT_MS)) {
      const old = sql<boolean>`at < ${this.#store.nowMs} - ${sql.lit(keptMs)}`;
      await this.#store.transaction((db) =>
        db.deleteFrom('rollups').where('span', '=', span).where(old).execute(),
      );
    }
    this.#prunedMs = nowMs;
  }
}

function rowsOf(nowMs: number, all: Iterable<SampledHost>): Map<string, Row> {
  const rows = new Map<string, Row>();
  for (const { host, shard, samples } of all) {
    const add = (span: string, at: number, what: unknown, part: RollupPoint | Look): void => {
      const key = `${shard} ${span} ${at}`;
      const row = rows.get(key) ?? { shard, span, at, hosts: {}, from: [] };
      row.hosts[host] = what;
      row.from.push({ samples, part });
      rows.set(key, row);
    };
    for (const rolled of samples.unwritten(nowMs)) {
      const { span, point } = rolled;
      const values = [point.count, ...point.mean.map(short), ...point.most.map(short)];
      add(span, point.atMs, values, rolled);
    }
    for (const look of samples.looks.unwritten(nowMs)) add('look', look.atMs, look.look, look);
  }
  return rows;
}

export async function rolledUp(
  { db }: Pick<Store, 'db'>,
  { host, shard }: { readonly host: string; readonly shard: number },
  span: 'minute' | 'hour',
): Promise<Point[]> {
  const query = db.selectFrom('rollups').select(['at', 'body']).where('shard', '=', shard);
  const rows = await query.where('span', '=', span).orderBy('at').limit(1000).execute();
  return rows.flatMap(({ at: atMs, body }) => {
    const values = bodyOf(body)[host];
    if (values === undefined) return [];
    const width = (values.length - 1) / 2;
    const [count = 0, ...rest] = values;
    return [{ atMs, count, mean: rest.slice(0, width), most: rest.slice(width) }];
  });
}

/** A closing controller writes its partial minute and hour; its successor adds the rest. */
function joined(span: string, before: Body, hosts: Row['hosts']): Row['hosts'] {
  if (span !== 'minute' && span !== 'hour') return hosts;
  return Object.fromEntries(
    Object.entries(hosts as Body).map(([host, values]) => {
      const there = before[host];
      return [host, there === undefined ? values : bothOf(there, values)];
    }),
  );
}

/** Identical values were written before, by a transaction whose answer was lost. Pure. */
function bothOf(one: readonly number[], other: readonly number[]): readonly number[] {
  if (one.length !== other.length || one.every((value, at) => value === other[at])) return other;
  const [before = 0] = one;
  const [after = 0] = other;
  const width = (one.length - 1) / 2;
  return one.map((value, at) => {
    const next = other[at] ?? 0;
    if (at === 0) return before + after;
    if (at > width) return Math.max(value, next);
    return short((value * before + next * after) / (before + after));
  });
}

function bodyOf(text: string): Body {
  return JSON.parse(text) as Body;
}

/** Four digits for shares, integers for byte counts. */
function short(value: number): number {
  return value > 10 ? Math.round(value) : Math.round(value * 10_000) / 10_000;
}
