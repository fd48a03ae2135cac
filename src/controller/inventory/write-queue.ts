import type { Transaction } from 'kysely';
import type { HostState } from '../../protocol/controller/fleet.ts';
import type { Store } from '../store/store.ts';
import type { HostRow, Tables } from '../store/tables.ts';
import { standing, type HeldShards } from './leases.ts';
import {
  bytesOf,
  guestKey,
  MAX_PENDING_BYTES,
  merged,
  NOTHING,
  type NewGuest,
  type Pending,
} from './pending.ts';

/** Of one transaction. */
const HOSTS_AT_ONCE = 64;
const GUESTS_AT_ONCE = 1000;
/** Of one statement: SQLite and PostgreSQL bound its values. */
const ROWS_OF_A_STATEMENT = 200;

/** The row of a host; what the lease adds is left out. */
export type NewHost = Omit<HostRow, 'epoch' | 'changed_at'> & { readonly state: HostState };

/** A guest that was written, by what it may be claimed elsewhere. */
export type WrittenGuest = Pick<NewGuest, 'name' | 'uuid'>;

/**
 * What is to be written of the hosts that are followed. Many changes become one transaction; each names the lease under
 * which it is written, and what belongs to a shard that another controller has by now is left to that one.
 */
export class WriteQueue {
  readonly #store: Store;
  readonly #rowOf: (host: string) => NewHost | undefined;
  #pending = new Map<string, Pending>();
  /** Of each of them, at most: changes of one guest count one by one. */
  readonly #bytes = new Map<string, number>();

  /** `rowOf`: the host as it is known at the moment of writing; undefined where it is followed no more. */
  constructor(store: Store, rowOf: (host: string) => NewHost | undefined) {
    this.#store = store;
    this.#rowOf = rowOf;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** False, and nothing is added, if too much of that host waits already. All of its guests in place of that always are added. */
  add(host: string, change: Partial<Pending>): boolean {
    const later = { ...NOTHING, ...change };
    const isAll = later.replace !== undefined;
    const bytes = bytesOf(later) + (isAll ? 0 : (this.#bytes.get(host) ?? 0));
    if (bytes > MAX_PENDING_BYTES && !isAll) return false;
    this.#bytes.set(host, bytes);
    this.#pending.set(host, merged(this.#pending.get(host) ?? NOTHING, later));
    return true;
  }

  drop(host: string): void {
    this.#pending.delete(host);
    this.#bytes.delete(host);
  }

  /** Writes some of it, in one transaction. The guests that are new or others now. Rejects, and keeps all, on failure. */
  async flush(held: HeldShards): Promise<WrittenGuest[]> {
    const batch = this.#taken();
    if (batch.length === 0) return [];
    try {
      return await this.#store.transaction(async (db) => {
        const leases = await standing(db, this.#store, held);
        const written: WrittenGuest[] = [];
        for (const [host, pending] of batch) {
          const row = this.#rowOf(host);
          const epoch = row === undefined ? undefined : leases.get(row.shard);
          if (row === undefined || epoch === undefined) continue;
          written.push(...(await this.#write(db, { row, pending, epoch })));
        }
        return written;
      });
    } catch (thrown) {
      for (const [host, pending] of batch) {
        const later = this.#pending.get(host);
        const both = later === undefined ? pending : merged(pending, later);
        this.#pending.set(host, both);
        this.#bytes.set(host, bytesOf(both));
      }
      throw thrown;
    }
  }

  #taken(): [string, Pending][] {
    const batch: [string, Pending][] = [];
    let guests = 0;
    for (const [host, pending] of this.#pending) {
      if (batch.length >= HOSTS_AT_ONCE || guests >= GUESTS_AT_ONCE) break;
      batch.push([host, pending]);
      guests += pending.upserts.size + (pending.replace?.length ?? 0);
      this.drop(host);
    }
    return batch;
  }

  async #write(
    db: Transaction<Tables>,
    { row, pending, epoch }: { row: NewHost; pending: Pending; epoch: number },
  ): Promise<WrittenGuest[]> {
    const { nowMs: changed_at } = this.#store;
    const { name: host, ...rest } = row;
    if (pending.row) {
      const set = { ...rest, epoch, changed_at };
      await db
        .insertInto('hosts')
        .values({ name: host, ...set })
        .onConflict((conflict) => conflict.column('name').doUpdateSet(set))
        .execute();
    }
    if (pending.replace !== undefined)
      await db.deleteFrom('guests').where('host', '=', host).execute();
    for (const { name, uuid } of pending.gone.values()) {
      const gone = db.deleteFrom('guests').where('host', '=', host).where('name', '=', name);
      await gone.where('uuid', '=', uuid).execute();
    }
    const all = new Map((pending.replace ?? []).map((each) => [guestKey(each), each]));
    for (const key of pending.gone.keys()) all.delete(key);
    for (const [key, each] of pending.upserts) all.set(key, each);
    const guests = [...all.values()];
    for (let at = 0; at < guests.length; at += ROWS_OF_A_STATEMENT) {
      const some = guests.slice(at, at + ROWS_OF_A_STATEMENT);
      await db
        .insertInto('guests')
        .values(some.map((guest) => ({ ...guest, epoch, changed_at })))
        .onConflict((conflict) =>
          conflict.columns(['host', 'name', 'uuid']).doUpdateSet((eb) => ({
            state: eb.ref('excluded.state'),
            memory_bytes: eb.ref('excluded.memory_bytes'),
            vcpus: eb.ref('excluded.vcpus'),
            driver: eb.ref('excluded.driver'),
            info: eb.ref('excluded.info'),
            changed_at: eb.ref('excluded.changed_at'),
            epoch: eb.ref('excluded.epoch'),
          })),
        )
        .execute();
    }
    return guests;
  }
}
