import { sql } from 'kysely';
import type { Clock } from '../../clock.ts';
import type { Store } from '../store/open.ts';
import type { Held } from './leases.ts';
import { standing } from './leases.ts';
import { GUEST_HOURS_KEPT_MS, writeGuestHours } from './guest-hours.ts';
import { LOOKS_KEPT_MS } from './guest-looks.ts';
import type { Look } from './guest-looks.ts';
import type { HostSamples, Point, Rolled } from './samples.ts';

/** How long they are kept in the database, ms. */
const KEPT_MS = {
  minute: 2 * 3_600_000,
  hour: 30 * 24 * 3_600_000,
  look: LOOKS_KEPT_MS,
  guests: GUEST_HOURS_KEPT_MS,
} as const;
const PRUNE_MS = 1_800_000;
/** Rows of one transaction. */
const AT_ONCE = 32;

/** Host -> count, then mean and most of each measure. */
type Body = Record<string, readonly number[]>;

/** A row, with what it adds of each host. */
interface Row {
  readonly shard: number;
  readonly span: string;
  readonly at: number;
  readonly hosts: Record<string, unknown>;
}

interface Taken {
  readonly of: HostSamples;
  readonly rolled: readonly Rolled[];
  readonly looks: readonly Look[];
}

interface Sampled {
  readonly host: string;
  readonly shard: number;
  readonly samples: HostSamples;
}

/** Writes roll-ups: one row for all hosts of a shard and a minute or an hour, many rows in one transaction. */
export class Rollups {
  readonly #store: Store;
  readonly #clock: Clock;
  #prunedMs = -Infinity;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Without any lease nothing is taken: a lease may come back. */
  async write(held: Held, all: Iterable<Sampled>): Promise<void> {
    if (held.size === 0) return;
    const taken: Taken[] = [];
    const rows = new Map<string, Row>();
    for (const { host, shard, samples } of all) {
      const nowMs = this.#clock.wallMs();
      const [rolled, looks] = [samples.take(nowMs), samples.looks.take(nowMs)];
      if (rolled.length + looks.length === 0) continue;
      taken.push({ of: samples, rolled, looks });
      const add = (span: string, at: number, what: unknown): void => {
        const key = `${shard} ${span} ${at}`;
        const row = rows.get(key) ?? { shard, span, at, hosts: {} };
        row.hosts[host] = what;
        rows.set(key, row);
      };
      for (const { span, point } of rolled)
        add(span, point.atMs, [point.count, ...point.mean.map(short), ...point.most.map(short)]);
      for (const { atMs, look } of looks) add('look', atMs, look);
    }
    try {
      const list = [...rows.values()];
      for (let at = 0; at < list.length; at += AT_ONCE)
        await this.#insert(held, list.slice(at, at + AT_ONCE));
      await this.#prune();
    } catch (thrown) {
      for (const { of, rolled, looks } of taken) {
        of.giveBack(rolled);
        of.looks.giveBack(looks);
      }
      throw thrown;
    }
  }

  async #insert(held: Held, rows: readonly Row[]): Promise<void> {
    await this.#store.transaction(async (db) => {
      const leases = await standing(db, this.#store, held);
      for (const { shard, span, at, hosts } of rows.filter((row) => leases.has(row.shard))) {
        const place = db.selectFrom('rollups').select('body').where('shard', '=', shard);
        const there = await place.where('span', '=', span).where('at', '=', at).executeTakeFirst();
        // Hosts of one shard end a minute a moment after each other.
        const before = there === undefined ? {} : bodyOf(there.body);
        const body = JSON.stringify({ ...before, ...hosts });
        await db
          .insertInto('rollups')
          .values({ shard, span, at, body })
          .onConflict((conflict) => conflict.columns(['shard', 'span', 'at']).doUpdateSet({ body }))
          .execute();
      }
    });
  }

  async #prune(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#prunedMs < PRUNE_MS) return;
    // Before the looks that it is made of go.
    await writeGuestHours(this.#store);
    for (const [span, keptMs] of Object.entries(KEPT_MS)) {
      const old = sql<boolean>`at < ${this.#store.nowMs} - ${sql.lit(keptMs)}`;
      await this.#store.db.deleteFrom('rollups').where('span', '=', span).where(old).execute();
    }
    this.#prunedMs = nowMs;
  }
}

/** The roll-ups of one host as they were written, oldest first. */
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

/** Our own text, from our own database. */
function bodyOf(text: string): Body {
  return JSON.parse(text) as Body;
}

/** Four digits of a share, all of a byte count. */
function short(value: number): number {
  return value > 10 ? Math.round(value) : Math.round(value * 10_000) / 10_000;
}
