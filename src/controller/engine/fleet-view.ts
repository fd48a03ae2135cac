import { defined } from '../../protocol/defined.ts';
import { pastRates, type PastRates } from '../history/rates.ts';
import {
  fleetSnapshot,
  SnapshotMemory,
  type FleetSnapshot,
  type SnapshotGuest,
  type SnapshotHost,
} from '../inventory/snapshot.ts';
import type { SiteLink } from '../site-map.ts';
import { groupReports, mergeReports } from '../../protocol/public/moving.ts';
import { Migrations } from '../store/migrations.ts';
import { standbyFacts } from '../store/standbys.ts';
import type { Store } from '../store/store.ts';
import type { GuestFacts, HostFacts, World } from '../requests/facts.ts';
import { keyed, type Namesake } from '../requests/namesakes.ts';
import type { FleetView } from './ports.ts';

type Look = Pick<World, 'hosts' | 'guests' | 'labels' | 'siteLinks' | 'past' | 'standbys'>;

/**
 * Requests share one look at the database for this time, so that a large fleet leaves time for other work. The next
 * move must begin within a second.
 */
const FRESH_MS = { least: 300, most: 1000 };
const FRESH_SHARE = 4;
const MAX_PAST = 2000;
const PAST_MS = 60_000;

interface LastLook {
  readonly look: Promise<Look>;
  readonly atMs: number;
  tookMs?: number;
}

/** `manager`: it answers instead of an agent on the host. */
export interface HostAgent {
  readonly address: string;
  readonly manager?: string;
}

export class StoredFleet implements FleetView {
  readonly #store: Store;
  readonly #siteLinks: readonly SiteLink[];
  readonly #monotonicMs: () => number;
  readonly #memory = new SnapshotMemory();
  readonly #guests = new GuestsMemory();
  #last: LastLook | undefined;
  #next: Promise<Look> | undefined;
  #past: { readonly rates: PastRates; readonly atMs: number } | undefined;
  readonly #agents = new Map<string, HostAgent>();

  constructor(store: Store, monotonicMs: () => number, siteLinks: readonly SiteLink[] = []) {
    this.#siteLinks = siteLinks;
    this.#store = store;
    this.#monotonicMs = monotonicMs;
  }

  agentOf(host: string): HostAgent | undefined {
    return this.#agents.get(host);
  }

  /** `now`: a look that begins after the call. Only one runs at a time; callers meanwhile share the next. */
  look(when?: 'now'): Promise<Look> {
    const last = this.#last;
    if (when === undefined && last !== undefined && this.#isFresh(last)) return last.look;
    if (this.#next !== undefined) return this.#next;
    if (last === undefined || last.tookMs !== undefined) return this.#begin();
    this.#next = last.look.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#next;
  }

  #isFresh({ atMs, tookMs }: LastLook): boolean {
    if (tookMs === undefined) return true;
    const { least, most } = FRESH_MS;
    const goodForMs = Math.min(most, Math.max(least, FRESH_SHARE * tookMs));
    return this.#monotonicMs() - atMs - tookMs < goodForMs;
  }

  #begin(): Promise<Look> {
    const atMs = this.#monotonicMs();
    const look = this.#read();
    const last: LastLook = { look, atMs };
    this.#last = last;
    this.#next = undefined;
    look.then(
      () => (last.tookMs = this.#monotonicMs() - atMs),
      () => {
        if (this.#last === last) this.#last = undefined;
      },
    );
    return look;
  }

  async #read(): Promise<Look> {
    const snapshot = await fleetSnapshot(this.#store, this.#memory);
    for (const { name, address, managed } of snapshot.hosts)
      this.#agents.set(name, { address, ...(managed && { manager: managed.manager }) });
    const standbys = await standbyFacts(this.#store);
    const known = { siteLinks: this.#siteLinks, past: await this.#rates(), standbys };
    return { ...factsOf(snapshot, this.#guests), ...known };
  }

  async #rates(): Promise<PastRates> {
    const nowMs = this.#monotonicMs();
    if (this.#past !== undefined && nowMs - this.#past.atMs < PAST_MS) return this.#past.rates;
    const rates = pastRates(await new Migrations(this.#store).rates(MAX_PAST));
    this.#past = { rates, atMs: nowMs };
    return rates;
  }
}

type Guests = Pick<Look, 'guests' | 'labels'>;

interface NamedGuests {
  readonly reported: readonly SnapshotGuest[];
  readonly entries: readonly [string, Namesake][];
}

/**
 * Rebuilds only guests with new reports. Without changes `of` returns the same immutable list, so that derived data
 * stays valid.
 */
export class GuestsMemory {
  #byName: ReadonlyMap<string, NamedGuests> = new Map();
  #last: Guests | undefined;

  of(guests: readonly SnapshotGuest[]): Guests {
    let isSame = this.#last !== undefined;
    const byName = new Map<string, NamedGuests>();
    for (const [name, reported] of Map.groupBy(guests, ({ info }) => info.name)) {
      const before = this.#byName.get(name);
      const isKnown = before !== undefined && areAlike(before.reported, reported);
      byName.set(name, isKnown ? before : { reported, entries: entriesOf(name, reported) });
      isSame &&= isKnown;
    }
    isSame &&= byName.size === this.#byName.size;
    this.#byName = byName;
    if (!isSame || this.#last === undefined) this.#last = listOf(byName.values());
    return this.#last;
  }
}

function areAlike(one: readonly SnapshotGuest[], other: readonly SnapshotGuest[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ host, info }, at) => other[at]?.host === host && other[at]?.info === info)
  );
}

const entriesOf = (name: string, reported: readonly SnapshotGuest[]): [string, Namesake][] =>
  keyed(
    name,
    byIdentity(reported).map((each) => guestFacts(name, each)),
  );

function listOf(all: Iterable<NamedGuests>): Guests {
  const guests = new Map<string, GuestFacts>();
  const labels = new Map<string, Readonly<Record<string, string>>>();
  for (const { entries } of all) {
    for (const [key, each] of entries) {
      guests.set(key, each.facts);
      if (each.labels !== undefined) labels.set(key, each.labels);
    }
  }
  return { guests, labels };
}

/** Input of the pure core. Guests of a silent host are as last reported. */
export function factsOf(
  { nowMs, hosts, guests }: FleetSnapshot,
  memory = new GuestsMemory(),
): Look {
  return {
    hosts: new Map(hosts.map((each) => [each.name, hostFacts(each, nowMs)])),
    ...memory.of(guests),
  };
}

/**
 * The reports of each guest, newest first; the newest shows where it runs. All count until their hosts report
 * otherwise, because an older one may be a second copy.
 */
function byIdentity(reported: readonly SnapshotGuest[]): SnapshotGuest[][] {
  if (reported.length === 1) return [[...reported]];
  const reports = reported.map((of) => ({ ...of.info, host: of.host, of }));
  return groupReports(reports).map((group) => {
    const merged = mergeReports(group);
    const newest = merged.map(({ row }) => row.of);
    return [...newest, ...merged.flatMap(({ others }) => others.map((each) => each.of))];
  });
}

function hostFacts(host: SnapshotHost, nowMs: number): HostFacts {
  const { name, state, sinceMs, cores, memoryBytes, memoryAvailableBytes, info, managed } = host;
  const closed = managed?.closed ?? info?.closed;
  const isHeard = state === 'up' && memoryBytes !== undefined && cores !== undefined;
  return {
    name,
    ...(info?.site === undefined ? {} : { site: info.site }),
    ...defined({ realm: managed?.realm, closed }),
    ...(managed?.maintenanceMode === undefined ? {} : { maintenanceMode: managed.maintenanceMode }),
    ...(managed?.powerMode === undefined ? {} : { powerMode: managed.powerMode }),
    ...(isHeard ? {} : { silentSinceMs: sinceMs }),
    seenAtMs: isHeard ? nowMs : sinceMs,
    cores: cores ?? 0,
    memoryBytes: memoryBytes ?? 0,
    ...defined({ availableBytes: memoryAvailableBytes }),
  };
}

/** Facts come from the host that runs the guest; if two run it, from either. */
function guestFacts(name: string, all: readonly SnapshotGuest[]): Namesake {
  const most = (numbers: readonly (number | undefined)[]): number =>
    Math.max(0, ...numbers.map((each) => each ?? 0));
  const isStopped = ({ info }: SnapshotGuest): boolean => info.state === 'stopped';
  const homes = all.filter(({ info }) => info.state !== 'incoming');
  const running = homes.filter((each) => !isStopped(each));
  const reporting = [running, homes, all].find((each) => each.length > 0) ?? all;
  const infos = reporting.map(({ info }) => info);
  const manager = infos.find((each) => each.manager !== undefined)?.manager;
  const migration = infos.find((each) => each.migration !== undefined)?.migration;
  const movingTo = infos.find((each) => each.moving !== undefined)?.moving?.to;
  const diskBytes = most(infos.map((each) => sizeOf(each.disks)));
  const used = infos.flatMap((each) => each.usedCores ?? []);
  const labels = infos.flatMap((each) => Object.entries(each.labels ?? {}));
  const at = [...all.filter((each) => !isStopped(each)), ...all.filter(isStopped)];
  const facts: GuestFacts = {
    name,
    at: at.map(({ host, info }) => ({ host, state: info.state })),
    memoryBytes: most(infos.map((each) => each.memoryBytes)),
    vcpus: most(infos.map((each) => each.vcpus)),
    demand: used.length === 0 ? [] : [Math.max(...used)],
    ...(diskBytes === 0 ? {} : { diskBytes }),
    unmovable: [...new Set(infos.flatMap((each) => each.unmovable))],
    ...defined({ manager, migration, movingTo }),
  };
  return labels.length === 0 ? { facts } : { facts, labels: Object.fromEntries(labels) };
}

const sizeOf = (disks: readonly { readonly bytes: number }[] = []): number =>
  disks.reduce((sum, { bytes }) => sum + bytes, 0);
