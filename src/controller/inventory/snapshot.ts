import { isOfLease } from './leases.ts';
import type { HostState } from '../../protocol/controller/fleet.ts';
import {
  guestInfo,
  hostInfo,
  type GuestInfo,
  type HostInfo,
} from '../../protocol/public/hosts/host.ts';
import type { Store } from '../store/store.ts';
import type { GuestRow } from '../store/tables.ts';
import type { Db } from '../store/request-rows.ts';
import { managedIn, type ManagedFacts } from './managed-facts.ts';

export interface SnapshotHost {
  readonly name: string;
  readonly address: string;
  readonly state: HostState;
  /** Start of the state, ms since 1970; for a silent host, its last word. */
  readonly sinceMs: number;
  readonly silentSinceMs: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly memoryAvailableBytes: number | undefined;
  readonly cores: number | undefined;
  readonly info: HostInfo | undefined;
  /** Present if a manager reports the host. */
  readonly managed: ManagedFacts | undefined;
}

export interface SnapshotGuest {
  readonly host: string;
  readonly info: GuestInfo;
}

export interface FleetSnapshot {
  readonly nowMs: number;
  readonly hosts: readonly SnapshotHost[];
  readonly guests: readonly SnapshotGuest[];
}

/** Immutable. The next snapshot parses only changed rows. */
export class SnapshotMemory {
  readonly hosts = new ParsedRows((text) => hostInfo.parse(JSON.parse(text)));
  readonly guests = new ParsedRows((text) => guestInfo.parse(JSON.parse(text)));
}

/** A host without a word to its present follower is `unfollowed`. */
export async function fleetSnapshot(
  store: Store,
  memory = new SnapshotMemory(),
): Promise<FleetSnapshot> {
  return store.transaction(async (db) => {
    const { nowMs } = await db
      .selectFrom('counters')
      .select(store.nowMs.as('nowMs'))
      .limit(1)
      .executeTakeFirstOrThrow();
    const query = db.selectFrom('host_leases');
    const leases = await query.select(['shard', 'epoch', 'lease_until as untilMs']).execute();
    const byShard = new Map(leases.map((lease) => [lease.shard, lease]));
    const hosts = await hostRows(db, memory.hosts, nowMs);
    const guests = await guestRows(db, memory.guests, nowMs);
    return {
      nowMs,
      hosts: hosts.map((row) => {
        const lease = byShard.get(row.shard);
        const isKnown = isOfLease(row, lease, nowMs);
        const state = isKnown ? (row.state as HostState) : 'unfollowed';
        return {
          name: row.name,
          address: row.address,
          state,
          sinceMs: isKnown ? row.since : Math.min(lease?.untilMs ?? 0, nowMs),
          silentSinceMs: state === 'silent' ? row.since : undefined,
          memoryBytes: row.memory_bytes ?? undefined,
          memoryAvailableBytes: row.memory_available_bytes ?? undefined,
          cores: row.cores ?? undefined,
          info: memory.hosts.valueOf(row.name),
          managed: managedIn(row),
        };
      }),
      guests: reported(guests, memory.guests),
    };
  });
}

const AT_ONCE = 500;
const HOST_COLUMNS = [
  ...(['name', 'address', 'shard', 'state', 'since', 'cores', 'memory_bytes'] as const),
  ...(['memory_available_bytes', 'managed', 'changed_at', 'epoch'] as const),
] as const;
const GUEST_COLUMNS = ['host', 'name', 'uuid', 'changed_at', 'epoch'] as const;

async function hostRows(db: Db, known: ParsedRows<HostInfo>, nowMs: number) {
  const rows = await db.selectFrom('hosts').select(HOST_COLUMNS).orderBy('name').execute();
  const fresh = rows.filter((row) => known.isNew(row.name, row)).map(({ name }) => name);
  for (const names of inParts(fresh)) {
    const query = db.selectFrom('hosts').select(['name', 'info', 'changed_at', 'epoch']);
    for (const row of await query.where('name', 'in', names).execute()) {
      if (row.info === null) known.forget(row.name);
      else known.read(row.name, row, row.info, nowMs);
    }
  }
  known.keep(rows.map(({ name }) => name));
  return rows;
}

type GuestKeys = Pick<GuestRow, (typeof GUEST_COLUMNS)[number]>;

interface KeyedRow {
  readonly row: GuestKeys;
  readonly key: string;
}

function keyed(row: GuestKeys): KeyedRow {
  // The table's key: copies of a guest on one host share a UUID but have their own rows.
  return { row, key: JSON.stringify([row.host, row.name, row.uuid]) };
}

async function guestRows(db: Db, known: ParsedRows<GuestInfo>, nowMs: number): Promise<KeyedRow[]> {
  const query = db.selectFrom('guests').select(GUEST_COLUMNS).orderBy('name');
  const rows = (await query.execute()).map(keyed);
  const fresh = rows.filter(({ key, row }) => known.isNew(key, row)).map(({ row }) => row.name);
  for (const names of inParts([...new Set(fresh)])) {
    const texts = db.selectFrom('guests').select([...GUEST_COLUMNS, 'info']);
    for (const row of await texts.where('name', 'in', names).execute())
      known.read(keyed(row).key, row, row.info, nowMs);
  }
  known.keep(rows.map(({ key }) => key));
  return rows;
}

function* inParts(names: readonly string[]): Generator<string[]> {
  for (let at = 0; at < names.length; at += AT_ONCE) yield names.slice(at, at + AT_ONCE);
}

function reported(rows: readonly KeyedRow[], known: ParsedRows<GuestInfo>): SnapshotGuest[] {
  return rows.flatMap(({ row: { host }, key }) => {
    const info = known.valueOf(key);
    return info === undefined ? [] : [{ host, info }];
  });
}

interface RowVersion {
  readonly changed_at: number;
  readonly epoch: number;
}

interface ParsedRow<T> extends RowVersion {
  readonly text: string;
  readonly value: T;
  readonly readAtMs: number;
}

/** A row read within this time of its write may have changed again in the same millisecond. */
const SURE_MS = 1000;

/**
 * Parsed rows of a table as of the last reading. The next reading fetches texts only of newer rows, and parses only
 * changed texts.
 */
class ParsedRows<T> {
  readonly #parse: (text: string) => T;
  #known = new Map<string, ParsedRow<T>>();

  constructor(parse: (text: string) => T) {
    this.#parse = parse;
  }

  isNew(key: string, { changed_at: at, epoch }: RowVersion): boolean {
    const known = this.#known.get(key);
    return (
      known === undefined ||
      known.changed_at !== at ||
      known.epoch !== epoch ||
      known.readAtMs - at < SURE_MS
    );
  }

  read(key: string, { changed_at, epoch }: RowVersion, text: string, readAtMs: number): void {
    const known = this.#known.get(key);
    const value = known?.text === text ? known.value : this.#parse(text);
    this.#known.set(key, { changed_at, epoch, text, value, readAtMs });
  }

  valueOf(key: string): T | undefined {
    return this.#known.get(key)?.value;
  }

  forget(key: string): void {
    this.#known.delete(key);
  }

  /** Forgets missing rows. Equal counts mean equal rows. */
  keep(keys: readonly string[]): void {
    if (keys.length === this.#known.size) return;
    const there = new Set(keys);
    for (const key of this.#known.keys()) if (!there.has(key)) this.#known.delete(key);
  }
}
