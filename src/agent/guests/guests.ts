import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { withDeadline } from '../../deadline.ts';
import type { Driver } from '../../drivers/registry.ts';
import type { DiscoveredGuest, DiscoverOptions } from '../../port/inventory.ts';
import { godwitError, toGodwitError, type GodwitError } from '../../errors.ts';
import type { GuestLabels } from '../../protocol/labels.ts';
import type { ManagedHost } from '../../protocol/public/hosts/managed-host.ts';
import { epochOf } from '../../protocol/mover/request.ts';
import { isEnd } from '../../protocol/public/migration.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import { DriverGuests, type Silent } from './driver-guests.ts';
import { FarManagers } from '../far-managers.ts';
import { snapshotOf, type GuestSnapshot } from './guest-snapshot.ts';
import { SingleFlight } from './single-flight.ts';
import type { Migration, MigrationStore } from '../migrations/store.ts';

const DISCOVER_MS = 10_000;
const EVERY = '';
const CENSUS_MS = 2000;

/** Maximum age of an answer from the inventory. */
const KEPT_MS = 10_000;
/** Interval of checks for new hypervisors and migrations; no hypervisor is queried. */
const TICK_MS = 5000;
/** Interval of queries of every guest if no list is requested. */
const LOOK_MS = 60_000;

export interface GuestListing {
  readonly found: readonly DiscoveredGuest[];
  readonly hosts: readonly ManagedHost[];
  readonly observedAt: string;
  readonly silent: readonly Silent[];
}

interface Look {
  readonly found: DiscoveredGuest[];
  readonly failed: GodwitError | undefined;
}

interface CachedListing extends GuestListing {
  /** Undefined if a driver cannot report hypervisors. */
  readonly key: string | undefined;
  readonly atMs: number;
}

export interface GuestsBeside {
  readonly seen?: (before: GuestSnapshot, now: GuestSnapshot) => void;
  readonly looked?: (found: readonly DiscoveredGuest[]) => void;
  readonly managerIs?: (silence: GodwitError | undefined) => void;
  readonly labelsOf?: (guest: string) => GuestLabels | undefined;
}

/**
 * Inventory of this host's guests; it answers lists. Rebuilt when a hypervisor or a migration begins or ends, and at
 * intervals. Commands look at their guest again.
 */
export class Guests {
  readonly #config: AgentConfig;
  readonly drivers: readonly Driver[];
  readonly #byDriver: readonly DriverGuests[];
  readonly #store: MigrationStore;
  readonly #clock: Clock;
  readonly #seen: NonNullable<GuestsBeside['seen']>;
  readonly #looked: NonNullable<GuestsBeside['looked']>;
  readonly #far: FarManagers;
  readonly #labelsOf: (guest: string) => GuestLabels | undefined;
  #looking: Promise<CachedListing> | undefined;
  readonly #single = new SingleFlight((name) => this.#discoverOne(name));
  #kept: CachedListing | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    config: AgentConfig,
    drivers: readonly Driver[],
    store: MigrationStore,
    clock: Clock,
    beside: GuestsBeside = {},
  ) {
    const nothing = (): undefined => undefined;
    const { seen = nothing, looked = nothing, managerIs = nothing, labelsOf = nothing } = beside;
    this.#labelsOf = labelsOf;
    [this.#seen, this.#looked] = [seen, looked];
    this.#far = new FarManagers(drivers, clock, managerIs);
    this.#config = config;
    this.drivers = drivers;
    this.#byDriver = drivers.map((driver) => new DriverGuests(driver, clock));
    this.#store = store;
    this.#clock = clock;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#tick(), TICK_MS);
    this.#far.start(() => this.#tick());
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#far.stop();
  }

  /** Answers from the inventory; `fresh` looks at each guest again. Rejects if no driver lists its guests. */
  async listed(fresh = false): Promise<GuestListing> {
    return this.#within(fresh ? 0 : KEPT_MS);
  }

  readonly known = (): readonly DiscoveredGuest[] => this.#kept?.found ?? [];

  readonly lastLook = (): Pick<GuestListing, 'found' | 'silent'> | undefined => this.#kept;

  /** GODWIT_GUEST_UNKNOWN with the nearest name. */
  async need(name: string): Promise<DiscoveredGuest> {
    return this.#oneIn(await this.#single.fresh(name), name);
  }

  /** Like `need`, for readers: concurrent calls share one look. */
  async shown(name: string): Promise<DiscoveredGuest> {
    return this.#oneIn(await this.#single.read(name), name);
  }

  #oneIn({ found: all, failed }: Look, name: string): DiscoveredGuest {
    const namesakes = all.filter(({ info }) => info.name === name);
    const found = namesakes.find((each) => !isManagersOwn(each)) ?? namesakes[0];
    if (found !== undefined) return found;
    if (failed !== undefined) throw failed;
    const names = all.map(({ info }) => info.name);
    const near = didYouMean(name, names);
    throw godwitError(
      'GODWIT_GUEST_UNKNOWN',
      { guest: name, host: this.#config.name },
      near === undefined ? {} : { hint: near },
    );
  }

  /** Tells whether a guest of that name exists now. Guests known only to a manager do not reserve their names. */
  async has(name: string): Promise<boolean> {
    const { found, failed } = await this.#single.read(name);
    if (found.some((each) => each.info.name === name && !isManagersOwn(each))) return true;
    if (failed !== undefined) throw failed;
    return false;
  }

  /** Rejects if a driver is silent, because guests may be missing. */
  async look(): Promise<readonly DiscoveredGuest[]> {
    const { found, silent } = await this.#updateProposals();
    const [first] = silent;
    if (first !== undefined) throw first.error;
    return found;
  }

  /** A running look may miss a guest that has just come. Rejects if a driver does not answer. */
  async seenNow(): Promise<readonly DiscoveredGuest[]> {
    const { found, failed } = await this.#single.fresh(EVERY);
    if (failed !== undefined) throw failed;
    return found;
  }

  async #tick(): Promise<void> {
    const looked = await this.#within(LOOK_MS).catch(toGodwitError);
    this.#far.looked('silent' in looked ? looked.silent[0]?.error : looked);
  }

  async #within(forMs: number): Promise<CachedListing> {
    const kept = this.#kept;
    const isNew = kept !== undefined && this.#clock.monotonicMs() - kept.atMs < forMs;
    if (!isNew || kept.key === undefined || kept.key !== (await this.#key()))
      return this.#updateProposals();
    return kept;
  }

  #updateProposals(): Promise<CachedListing> {
    this.#looking ??= this.#makeAnew().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #makeAnew(): Promise<CachedListing> {
    // Read before the look, so that a change during it causes another look.
    const key = await this.#key();
    const [atMs, wallMs] = [this.#clock.monotonicMs(), this.#clock.wallMs()];
    const [{ found, silent }, hosts] = await Promise.all([this.#discoverAll(), this.#far.hosts()]);
    const [first] = silent;
    if (first !== undefined && silent.length === this.drivers.length) throw first.error;
    this.#looked(found);
    this.#seen(snapshotOf(this.#kept ?? { found: [], hosts: [] }), snapshotOf({ found, hosts }));
    const observedAt = new Date(wallMs).toISOString();
    const known = first === undefined ? key : undefined;
    this.#kept = { found, hosts, silent, key: known, atMs, observedAt };
    return this.#kept;
  }

  async #key(): Promise<string | undefined> {
    const what = `to see which guests of ${this.#config.name} run`;
    const all = await withDeadline(what, CENSUS_MS, undefined, (signal) =>
      Promise.all(this.drivers.map(async (driver) => driver.census?.(signal))),
    ).catch(() => [undefined]);
    if (all.includes(undefined)) return undefined;
    return JSON.stringify([all, this.#store.running().map(({ id }) => id)]);
  }

  /** Labels set here override labels set at the manager. */
  #labelled(guest: DiscoveredGuest): DiscoveredGuest {
    const own = this.#labelsOf(guest.info.name);
    if (own === undefined) return guest;
    return { ...guest, info: { ...guest.info, labels: { ...guest.info.labels, ...own } } };
  }

  async #discoverAll(): Promise<Pick<GuestListing, 'found' | 'silent'>> {
    const { what, options, complete } = this.#question();
    const looks = await Promise.all(
      this.#byDriver.map((each) =>
        each.look(what, (driver, signal) => driver.discover(options, signal)),
      ),
    );
    const silent = looks.flatMap((look) => look.silent ?? []);
    return { found: complete(looks.flatMap(({ found }) => found)), silent };
  }

  async #discoverOne(only: string): Promise<Look> {
    const { what, options, complete } = this.#question();
    const all = this.drivers.map((driver) =>
      withDeadline(what, DISCOVER_MS, undefined, (signal) =>
        driver.discover(only === EVERY ? options : { ...options, only }, signal),
      ),
    );
    const looks = await Promise.allSettled(all);
    const found = looks.flatMap((look) => (look.status === 'fulfilled' ? look.value : []));
    const refused = looks.find((look) => look.status === 'rejected');
    const failed = refused === undefined ? undefined : toGodwitError(refused.reason);
    return { found: complete(found), failed };
  }

  #question() {
    const moving = new Map(this.#store.running().map((each) => [guestOf(each), each]));
    // Read before the look: a guest that leaves during the look was seen before it left.
    const completed = completedMoves(this.#store);
    const options: DiscoverOptions = {
      host: this.#config.name,
      busy: new Set(moving.keys()),
      configured: this.#config.guests,
    };
    const complete = (found: readonly DiscoveredGuest[]): DiscoveredGuest[] =>
      withoutDuplicates(found).map((guest) =>
        withMoves(this.#labelled(guest), this.#store, {
          now: moving.get(guest.info.name),
          last: completed.get(guest.info.name),
        }),
      );
    return { what: `to look for the guests of ${this.#config.name}`, options, complete };
  }
}

export function guestOf({ request }: Migration): string {
  return request.side === 'source' ? request.request.guest : request.admission.guest;
}

/** If neither request nor journal can be read, it may move any guest. */
export function mayBeOf(migration: Migration, guest: string): boolean {
  return guestOf(migration) === guest || migration.damage?.isGuestKnown === false;
}

export function migrationOf(store: MigrationStore, guest: string): Migration | undefined {
  return store.all().findLast((each) => guestOf(each) === guest && !isEnd(phaseOf(store, each)));
}

/**
 * Throws if the request or journal of its newest migration cannot be read: such a guest is neither moved nor admitted.
 */
export function mustBeReadable(store: MigrationStore, guest: string): void {
  const damaged = store.all().find((each) => each.damage !== undefined && mayBeOf(each, guest));
  if (damaged?.damage !== undefined) throw damaged.damage.error;
  const newest = store.all().findLast((each) => guestOf(each) === guest);
  const unreadable = newest === undefined ? undefined : store.unreadable(newest.id);
  if (unreadable !== undefined) throw unreadable;
}

/** Tells whether the guest's newest migration is open or held, or an unreadable migration may be the guest's. */
export function mayBeElsewhere(
  store: Pick<MigrationStore, 'all' | 'progress'>,
  guest: string,
): boolean {
  const own = store.all().filter((each) => mayBeOf(each, guest));
  const phase = own.length === 0 ? undefined : store.progress(own.at(-1)?.id ?? '').phase;
  const isOpen = phase !== undefined && (phase === 'held' || !isEnd(phase));
  return isOpen || own.some(({ damage }) => damage !== undefined);
}

function phaseOf(store: MigrationStore, { id }: Migration) {
  return store.progress(id).phase;
}

function withMoves(
  guest: DiscoveredGuest,
  store: MigrationStore,
  { now, last }: { readonly now: Migration | undefined; readonly last: Migration | undefined },
): DiscoveredGuest {
  if (now === undefined && last === undefined) return guest;
  const dated = last === undefined ? {} : { epoch: epochOf(last.request) };
  if (now === undefined) return { ...guest, info: { ...guest.info, ...dated } };
  const { id, request } = now;
  const { fromHost: from, toHost: to } = request;
  const moving = { from, to, runsAt: store.runsAt(id), epoch: epochOf(request) };
  return { ...guest, info: { ...guest.info, ...dated, migration: id, moving } };
}

export function completedMoves(
  store: Pick<MigrationStore, 'all' | 'runsAt'>,
): ReadonlyMap<string, Migration> {
  const completed = new Map<string, Migration>();
  for (const each of store.all())
    if (store.runsAt(each.id) === 'destination') completed.set(guestOf(each), each);
  return completed;
}

/**
 * Two drivers can list one guest: its manager's driver and the driver of the underlying hypervisor. The driver with a
 * handle keeps it.
 */
function withoutDuplicates(found: readonly DiscoveredGuest[]): DiscoveredGuest[] {
  const held = found.filter(({ handle }) => handle !== undefined).map(({ info }) => info);
  const [dropped, kept]: [DiscoveredGuest[], DiscoveredGuest[]] = [[], []];
  for (const each of found) {
    const { handle, info } = each;
    const isTwice =
      handle === undefined &&
      info.uuid !== undefined &&
      held.some((other) => other.uuid === info.uuid && other.driver !== info.driver);
    (isTwice ? dropped : kept).push(each);
  }
  return kept.map((each) => {
    const twin = dropped.find(({ info }) => info.uuid === each.info.uuid)?.countedBy;
    // The manager may be on any machine; the process is on this host.
    return each.countedBy === undefined && twin !== undefined ? { ...each, countedBy: twin } : each;
  });
}

/** A container of a manager, which chose its name. It cannot be moved here. A virtual machine has a UUID. */
const isManagersOwn = ({ handle, info }: DiscoveredGuest): boolean =>
  handle === undefined && info.manager !== undefined && info.uuid === undefined;
