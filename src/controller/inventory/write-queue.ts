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

const HOSTS_AT_ONCE = 64;
const GUESTS_AT_ONCE = 1000;
/** Per statement: SQLite and PostgreSQL limit its values. */
const ROWS_OF_A_STATEMENT = 200;

export type NewHost = Omit<HostRow, 'epoch' | 'changed_at'> & { readonly state: HostState };

export type WrittenGuest = Pick<NewGuest, 'name' | 'uuid'>;

/**
 * Unwritten changes of followed hosts. Many become one transaction, each under its lease; changes of a shard that
 * another controller has now are dropped.
 */
export class WriteQueue {
  readonly #store: Store;
  readonly #rowOf: (host: string) => NewHost | undefined;
  #pending = new Map<string, Pending>();
  /** Upper bound per host: repeated changes of one guest all count. */
  readonly #bytes = new Map<string, number>();

  /** `rowOf`: the host when it is written; undefined if it is no longer followed. */
  constructor(store: Store, rowOf: (host: string) => NewHost | undefined) {
    this.#store = store;
    this.#rowOf = rowOf;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** False, without adding, if too much of that host waits. */
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

  /** Returns the new and changed guests. On failure it rejects and keeps everything. */
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
