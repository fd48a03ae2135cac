import type { Clock } from '../../clock.ts';
import { EventLog } from '../../rpc/event-log.ts';
import type { Fleet, PeerAddress } from '../../host/fleet.ts';
import type { Log } from '../../log.ts';
import type { FleetNews } from '../../protocol/controller/events.ts';
import type { FleetHost } from '../../protocol/controller/fleet.ts';
import type { Progress } from '../../protocol/public/migration.ts';
import { askKernel, type AskKernel } from '../../rpc/reach.ts';
import type { Credentials } from '../../rpc/tls.ts';
import type { Store } from '../store/store.ts';
import { hostOfRow } from './answers.ts';
import { WriteQueue, type NewHost } from './write-queue.ts';
import { Conflicts } from './conflicts.ts';
import { Follower, type FollowerDependencies } from './follower.ts';
import { HostBook, type Changes, type Excess } from './host-book.ts';
import type { ManagedHosts, ManagedPlace } from './managed.ts';
import { managedIn } from './managed-facts.ts';
import { HostLeases, LEASE_MS, RENEW_MS, standing, type HeldShards, type Owner } from './leases.ts';
import { Rollups } from './rollups.ts';
import { HostSamples } from './samples.ts';
import { shardOf } from './shards.ts';
import { StoreLoops } from './store-loops.ts';
import { paced } from './turns.ts';
import { guestInfo, type GuestInfo } from '../../protocol/public/hosts/host.ts';
import { isSuperseded } from '../../protocol/public/moving.ts';
import { withPower, type PowerNow, type Standing } from '../power/shown.ts';
import { powerNow } from '../store/power-rows.ts';

const FLUSH_MS = 250;
/** Events for clients that reconnect: ten minutes of 80 events a second, 650 bytes each. */
export const EVENTS_KEPT = { events: 50_000, bytes: 32 * 1024 * 1024 };

export interface InventoryDependencies {
  readonly store: Store;
  readonly fleet: Pick<Fleet, 'peers'>;
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly log: Log;
  readonly owner: Owner;
  readonly migrations?: MigrationsHeard;
  readonly managed?: ManagedHosts;
  readonly power?: { readonly wakeMs: number } | undefined;
  /** Length of a look at guests' use. Default: LOOK_MS. */
  readonly lookMs?: number;
  readonly knock?: AskKernel;
}

export type HostPlace = PeerAddress | ManagedPlace;

export interface MigrationsHeard {
  followed(host: string): void;
  left(host: string): void;
  heard(host: string, progress: Progress): void;
}

interface FollowedHost {
  readonly end: () => Promise<void>;
  readonly book: HostBook;
}

/** Follows the hosts of the shards whose leases this controller has, and stores changes. */
export class Inventory {
  readonly events = new EventLog<FleetNews>(EVENTS_KEPT);
  readonly #deps: InventoryDependencies;
  readonly #leases: HostLeases;
  readonly #followed = new Map<string, FollowedHost>();
  readonly #ending = new Set<Promise<void>>();
  /** Samples of hosts whose shard was lost and regained in one turn. */
  readonly #samplesBefore = new Map<string, HostSamples>();
  readonly #book: WriteQueue;
  readonly #conflicts: Conflicts;
  readonly #rollups: Rollups;
  readonly #following: FollowerDependencies;
  readonly #power: PowerReports;
  readonly #loops: StoreLoops;
  /** Updated each turn, since building it for thousands of hosts is slow. */
  #peers: Readonly<Record<string, PeerAddress>> = {};
  #managed: ReadonlyMap<string, ManagedPlace> = new Map();
  #known: HeldShards = new Map();
  #renewedMs = 0;
  #writtenTo = this.events.lastId;

  constructor(deps: InventoryDependencies) {
    this.#deps = deps;
    const { store, owner, log, credentials, clock, knock = askKernel } = deps;
    this.#leases = new HostLeases(store, owner, log);
    this.#book = new WriteQueue(store, (host) => this.#followed.get(host)?.book.row);
    this.#conflicts = new Conflicts(store, clock, log, (news) => this.events.add(news));
    this.#rollups = new Rollups(store, clock);
    this.#power = new PowerReports(store, deps.power);
    this.#loops = new StoreLoops(log);
    this.#following = { credentials, clock, ...paced(knock) };
  }

  start(): void {
    this.#loops.start(RENEW_MS, 'the leases of hosts', () => this.#turn());
    this.#loops.start(FLUSH_MS, 'what hosts reported', () => this.#flush());
    this.#loops.start(5000, 'roll-ups of samples', () =>
      this.#rollups.write(this.held(), this.#samples()),
    );
  }

  /** Other controllers may take over the hosts at once. */
  async close(): Promise<void> {
    await this.#loops.close();
    const ends = [...this.#followed.values()].map((each) => each.end());
    await Promise.all([...ends, ...this.#ending]);
    for (const { samples } of this.#samples()) samples.end();
    await this.#rollups.write(this.held(), this.#samples()).catch(() => {});
    await this.#flush().catch(() => {});
    await this.#leases.release().catch(() => {});
  }

  exceeds(host: string, isExceeded: boolean, what: Excess): void {
    this.#followed.get(host)?.book.exceeds(isExceeded, what);
  }

  /** Undefined if another controller follows that host. */
  samplesOf(host: string): HostSamples | undefined {
    return this.#followed.get(host)?.book.samples;
  }

  up(): { readonly name: string; readonly place: PeerAddress }[] {
    const peers = this.#peers;
    return [...this.#followed].flatMap(([name, { book }]) => {
      const place = peers[name];
      return book.row.state === 'up' && place !== undefined ? [{ name, place }] : [];
    });
  }

  figures(): { readonly followed: number; readonly samples: number; readonly unwritten: number } {
    const all = [...this.#followed.values()];
    const samples = all.reduce((sum, { book }) => sum + book.samples.received, 0);
    return { followed: all.length, samples, unwritten: this.#book.size };
  }

  placeOf(host: string): HostPlace | undefined {
    if (Object.hasOwn(this.#peers, host)) return this.#peers[host];
    return this.#deps.managed?.placeOf(host);
  }

  /** Leases hold by the database's clock; without its answer they count as ended once they may have. */
  held(): HeldShards {
    const sinceMs = this.#deps.clock.monotonicMs() - this.#renewedMs;
    return sinceMs < LEASE_MS ? this.#leases.held : new Map();
  }

  async #turn(): Promise<void> {
    const begunMs = this.#deps.clock.monotonicMs();
    const held = await this.#leases.turn();
    this.#renewedMs = begunMs;
    const peers = this.#deps.fleet.peers();
    this.#peers = peers;
    const taken = [...held.keys()].filter((shard) => this.#known.get(shard) !== held.get(shard));
    this.#known = held;
    this.#managed = this.#deps.managed?.places((name) => Object.hasOwn(peers, name)) ?? new Map();
    const all = [...Object.keys(peers), ...this.#managed.keys()];
    const mine = all.filter((name) => held.has(shardOf(name)));
    const wanted = new Set(mine);
    const ended = [...this.#followed].filter(
      ([name]) => !wanted.has(name) || taken.includes(shardOf(name)),
    );
    for (const [name, each] of ended) {
      if (wanted.has(name)) this.#samplesBefore.set(name, each.book.samples);
      this.#unfollow(name, each);
    }
    const fresh = mine.filter((name) => !this.#followed.has(name));
    if (fresh.length > 0 || taken.length > 0 || ended.length > 0) await this.#begin(held, fresh);
    for (const [name, { book }] of this.#followed) {
      const { address } = this.placeOf(name) ?? book.row;
      book.moved(address);
    }
    const rowOf = (name: string): NewHost | undefined => this.#followed.get(name)?.book.row;
    for (const name of await this.#power.turn(rowOf)) this.#reportHost(name);
  }

  async #begin(held: HeldShards, fresh: readonly string[]): Promise<void> {
    const rows = new Map<string, NewHost>();
    const shards = [...held.keys()];
    if (shards.length > 0) {
      const { db } = this.#deps.store;
      const query = db.selectFrom('hosts').selectAll().where('shard', 'in', shards);
      for (const { epoch: _epoch, changed_at: _at, ...row } of await query.execute())
        rows.set(row.name, row as NewHost);
    }
    for (const name of fresh) {
      const address = this.placeOf(name)?.address ?? '';
      const known = rows.get(name);
      this.#follow(
        known === undefined
          ? newHost(name, address, this.#now())
          : takenUp({ ...known, address }, this.#now()),
      );
    }
    const strangers = [...rows.values()].filter((row) => !this.#isKnown(row));
    for (const stranger of strangers) await this.#forget(held, stranger);
  }

  /** A manager's host that has not been heard yet stays as last reported. */
  #isKnown(row: NewHost): boolean {
    if (this.placeOf(row.name) !== undefined) return true;
    const { manager } = managedIn(row) ?? {};
    return manager !== undefined && this.#deps.managed?.recall(row.name, manager) === true;
  }

  #follow(known: NewHost): void {
    const { name } = known;
    // An ending follower may still report.
    const isCurrent = (): boolean => this.#followed.get(name)?.book === book;
    const changes: Changes = {
      write: (change) => !isCurrent() || this.#book.add(name, change),
      publish: (news) => isCurrent() && this.events.add(news),
      reportHost: () => isCurrent() && this.#reportHost(name),
      followed: () => isCurrent() && this.#deps.migrations?.followed(name),
      moved: (progress) => isCurrent() && this.#deps.migrations?.heard(name, progress),
      nowMs: () => this.#now(),
    };
    const samples = this.#samplesBefore.get(name) ?? new HostSamples(this.#deps.lookMs);
    const book: HostBook = new HostBook(known, changes, samples);
    this.#samplesBefore.delete(name);
    this.#followed.set(name, { end: this.#follower(name, book), book });
    this.#book.add(name, { row: true });
    const { manager } = this.#managed.get(name) ?? {};
    if (manager !== undefined) this.#deps.managed?.follow(name, manager, book);
  }

  /** Returns a function that ends the follower. */
  #follower(name: string, book: HostBook): () => Promise<void> {
    const { managed } = this.#deps;
    if (managed !== undefined && this.#managed.has(name)) return async () => managed.left(name);
    const follower = new Follower(name, () => this.#peers[name], this.#following, book);
    return () => follower.end();
  }

  #unfollow(name: string, { end }: FollowedHost): void {
    this.#followed.delete(name);
    this.#book.drop(name);
    this.#deps.migrations?.left(name);
    const ended = end().finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }

  async #forget(held: HeldShards, { name, shard }: NewHost): Promise<void> {
    const { store } = this.#deps;
    const isGone = await store.transaction(async (db) => {
      if (!(await standing(db, store, held)).has(shard)) return false;
      await db.deleteFrom('guests').where('host', '=', name).execute();
      await db.deleteFrom('hosts').where('name', '=', name).execute();
      return true;
    });
    if (isGone) this.events.add({ type: 'host-gone', name });
  }

  /** The newest event up to which all effects are in the database. */
  get writtenTo(): string {
    return this.#writtenTo;
  }

  async #flush(): Promise<void> {
    const { lastId } = this.events;
    while (this.#book.size > 0) {
      const held = this.held();
      if (held.size === 0) return;
      const written = await this.#book.flush(held);
      this.#conflicts.look(written);
    }
    this.#writtenTo = lastId;
    await this.#releaseArrived();
    await this.#conflicts.turn();
  }

  /** Runs after the writes: a departed guest's row goes once its new host's row exists. */
  async #releaseArrived(): Promise<void> {
    const held = [...this.#followed.values()].flatMap(({ book }) =>
      book.held().map((guest) => ({ book, guest })),
    );
    if (held.length === 0) return;
    const arrived = await arrivedOf(
      this.#deps.store,
      held.map(({ guest }) => guest),
    );
    for (const { book, guest } of held) if (arrived.has(guest)) book.release(guest);
  }

  #reportHost(name: string): void {
    const followed = this.#followed.get(name);
    if (followed === undefined) return;
    const host: FleetHost = hostOfRow(
      this.#power.of(name, followed.book.row),
      this.#deps.owner.name,
    );
    this.events.add({ type: 'host', host });
  }

  *#samples(): Generator<{ host: string; shard: number; samples: HostSamples }> {
    for (const [host, { book }] of this.#followed)
      yield { host, shard: book.row.shard, samples: book.samples };
  }

  #now(): number {
    return this.#deps.clock.wallMs();
  }
}

const AT_ONCE = 500;

async function arrivedOf(
  { db }: Pick<Store, 'db'>,
  left: readonly GuestInfo[],
): Promise<Set<GuestInfo>> {
  const names = [...new Set(left.map(({ name }) => name))];
  const reports: GuestInfo[] = [];
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const some = names.slice(at, at + AT_ONCE);
    const rows = db.selectFrom('guests').select('info').where('name', 'in', some);
    for (const { info } of await rows.execute()) reports.push(guestInfo.parse(JSON.parse(info)));
  }
  const byName = Map.groupBy(reports, ({ name }) => name);
  const hasArrived = (guest: GuestInfo): boolean => {
    const others = (byName.get(guest.name) ?? []).filter(({ host }) => host !== guest.host);
    return isSuperseded(guest, others);
  };
  return new Set(left.filter(hasArrived));
}

/** The row of an earlier follower: `up` is not known to hold any more. */
function takenUp(known: NewHost, nowMs: number): NewHost {
  return known.state === 'up' ? { ...known, state: 'unfollowed', since: nowMs } : known;
}

function newHost(name: string, address: string, since: number): NewHost {
  const unknown = { reason: null, version: null, cores: null, memory_bytes: null, info: null };
  const counts = { memory_available_bytes: null, guests: 0, site: null, managed: null };
  const excess = { excess: null, excess_since: null };
  return {
    name,
    address,
    shard: shardOf(name),
    state: 'new',
    since,
    ...unknown,
    ...counts,
    ...excess,
  };
}

/** Reports sleeping and woken hosts in events, even if the change comes only from the database. */
class PowerReports {
  readonly #store: Store;
  readonly #settings: { readonly wakeMs: number } | undefined;
  #now: PowerNow = { power: new Map(), nowMs: 0, wakeMs: 0 };
  #marks: ReadonlyMap<string, string> = new Map();

  constructor(store: Store, settings: { readonly wakeMs: number } | undefined) {
    this.#store = store;
    this.#settings = settings;
  }

  of<T extends Standing>(name: string, host: T): T {
    return withPower(name, host, this.#now);
  }

  async turn(rowOf: (name: string) => Standing | undefined): Promise<string[]> {
    this.#now = await powerNow(this.#store, this.#settings);
    const before = this.#marks;
    const names = [...this.#now.power.keys()];
    const marks = names.flatMap((name): [string, string][] => {
      const row = rowOf(name);
      if (row === undefined) return [];
      const { state, since, reason } = this.of(name, row);
      return [[name, JSON.stringify([state, since, reason])]];
    });
    this.#marks = new Map(marks);
    const woken = [...before.keys()].filter((name) => !this.#marks.has(name));
    const changed = marks.filter(([name, mark]) => before.get(name) !== mark);
    return [...changed.map(([name]) => name), ...woken];
  }
}
