import { sql, type Transaction } from 'kysely';
import type { Log } from '../../log.ts';
import { boundLeases } from '../store/moments.ts';
import type { Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { fairShare, shardOf, SHARDS } from './shards.ts';

/** Lifetime of a lease after its controller's last renewal. Another controller may take it then. */
export const LEASE_MS = 8000;
export const RENEW_MS = 2000;
const GIVEN_UP = 0;

export interface Owner {
  /** Unique to this run: a restarted controller is not its successor. */
  readonly id: string;
  readonly name: string;
}

/** Shard -> the epoch under which this controller follows its hosts. */
export type HeldShards = ReadonlyMap<number, number>;

/**
 * Tells whether a host's row was written under its shard's present lease. Right after a takeover it is still the
 * previous, perhaps dead, controller's. `nowMs`: the database's clock.
 */
export function isOfLease(
  row: { readonly epoch: number },
  lease: { readonly epoch: number; readonly untilMs: number } | undefined,
  nowMs: number,
): boolean {
  return lease !== undefined && lease.untilMs >= nowMs && row.epoch === lease.epoch;
}

/**
 * Keeps this controller's leases of shards: renews its own, takes free ones up to its fair share, and releases the
 * surplus. A lease that one transaction did not renew is lost.
 */
export class HostLeases {
  readonly #store: Store;
  readonly #owner: Owner;
  readonly #log: Log;
  #held: HeldShards = new Map();

  constructor(store: Store, owner: Owner, log: Log) {
    this.#store = store;
    this.#owner = owner;
    this.#log = log;
  }

  get held(): HeldShards {
    return this.#held;
  }

  /** Rejects if the database does not answer; nothing has changed then. */
  async turn(): Promise<HeldShards> {
    const held = await this.#store.transaction(async (db) => {
      await boundLeases(db, this.#store, 'controllers', LEASE_MS);
      await boundLeases(db, this.#store, 'host_leases', LEASE_MS);
      const alive = await this.#signOfLife(db);
      const own = await this.#renewed(db);
      return this.#within(db, own, fairShare(alive));
    });
    const taken = [...held.keys()].filter((shard) => !this.#held.has(shard));
    const lost = [...this.#held.keys()].filter((shard) => !held.has(shard));
    if (taken.length + lost.length > 0)
      this.#log.info(
        { held: held.size, taken, lost },
        'shards of hosts followed by this controller',
      );
    this.#held = held;
    return held;
  }

  async release(): Promise<void> {
    const { id } = this.#owner;
    this.#held = new Map();
    await this.#store.transaction(async (db) => {
      const leases = db.updateTable('host_leases').where('owner', '=', id);
      await leases.set({ lease_until: GIVEN_UP }).execute();
      await db.deleteFrom('controllers').where('id', '=', id).execute();
    });
  }

  async #signOfLife(db: Transaction<Tables>): Promise<number> {
    const { id, name } = this.#owner;
    const alive_until = this.#until();
    await db
      .insertInto('controllers')
      .values({ id, name, alive_until })
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ alive_until }))
      .execute();
    const old = sql<boolean>`alive_until < ${this.#store.nowMs} - ${sql.lit(100 * LEASE_MS)}`;
    await db.deleteFrom('controllers').where(old).execute();
    const { count } = await db
      .selectFrom('controllers')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('alive_until', '>', this.#store.nowMs)
      .executeTakeFirstOrThrow();
    return count;
  }

  /**
   * An expired lease that no controller took is renewed under its epoch, so that a controller delayed by a busy machine
   * keeps its connections. A new owner would have written its id, so no other controller followed the hosts.
   */
  async #renewed(db: Transaction<Tables>): Promise<Map<number, number>> {
    const rows = await db
      .updateTable('host_leases')
      .set({ lease_until: this.#until() })
      .where('owner', '=', this.#owner.id)
      .where('lease_until', '>', GIVEN_UP)
      .returning(['shard', 'epoch'])
      .execute();
    return new Map(rows.map(({ shard, epoch }) => [shard, epoch]));
  }

  async #within(
    db: Transaction<Tables>,
    own: ReadonlyMap<number, number>,
    share: number,
  ): Promise<HeldShards> {
    const held = new Map(own);
    const beyond = [...own.keys()].toSorted((one, other) => one - other).slice(share);
    if (beyond.length > 0) {
      await db
        .updateTable('host_leases')
        .set({ lease_until: GIVEN_UP })
        .where('owner', '=', this.#owner.id)
        .where('shard', 'in', beyond)
        .execute();
      for (const shard of beyond) held.delete(shard);
    }
    if (held.size < share) {
      for (const shard of await this.#free(db, share - held.size)) {
        const epoch = await this.#take(db, shard);
        if (epoch !== undefined) held.set(shard, epoch);
      }
    }
    return held;
  }

  async #free(db: Transaction<Tables>, most: number): Promise<number[]> {
    const rows = await db
      .selectFrom('host_leases')
      .select('shard')
      .where('lease_until', '>', this.#store.nowMs)
      .execute();
    const taken = new Set(rows.map(({ shard }) => shard));
    const free = Array.from({ length: SHARDS }, (_none, shard) => shard);
    return free.filter((shard) => !taken.has(shard)).slice(0, most);
  }

  /** Each acquisition has a new epoch. Undefined if another controller took the shard meanwhile. */
  async #take(db: Transaction<Tables>, shard: number): Promise<number | undefined> {
    const { value: epoch } = await db
      .updateTable('counters')
      .set({ value: sql<number>`value + 1` })
      .where('name', '=', 'epoch')
      .returning('value')
      .executeTakeFirstOrThrow();
    const lease = { owner: this.#owner.id, epoch, lease_until: this.#until() };
    const taken = await db
      .insertInto('host_leases')
      .values({ shard, ...lease })
      .onConflict((conflict) =>
        conflict
          .column('shard')
          .doUpdateSet(lease)
          .where('host_leases.lease_until', '<=', this.#store.nowMs),
      )
      .returning('epoch')
      .executeTakeFirst();
    return taken?.epoch;
  }

  #until() {
    return sql<number>`${this.#store.nowMs} + ${sql.lit(LEASE_MS)}`;
  }
}

/**
 * The shards in `held` that no controller took since, locked until the transaction ends. Writes are allowed only under
 * these. A controller that was stopped during a takeover gets none.
 */
export async function standing(
  db: Transaction<Tables>,
  store: Pick<Store, 'kind'>,
  held: HeldShards,
): Promise<HeldShards> {
  if (held.size === 0) return new Map();
  // Locking other controllers' rows would delay their renewals.
  const query = db
    .selectFrom('host_leases')
    .select(['shard', 'epoch'])
    .where('shard', 'in', [...held.keys()]);
  const rows = await (store.kind === 'postgres' ? query.forShare() : query).execute();
  return new Map(
    rows
      .filter(({ shard, epoch }) => held.get(shard) === epoch)
      .map((row) => [row.shard, row.epoch]),
  );
}

export async function mayWrite(
  db: Transaction<Tables>,
  store: Pick<Store, 'kind'>,
  held: HeldShards,
  host: string,
): Promise<boolean> {
  return (await standing(db, store, held)).has(shardOf(host));
}
