import type { AgentConfig } from '../config.ts';
import { withDeadline } from '../deadline.ts';
import type { Driver } from '../drivers/registry.ts';
import type { DiscoveredGuest } from '../drivers/port/inventory.ts';
import { godwitError } from '../errors.ts';
import type { GuestInfo } from '../protocol/public/host.ts';
import { isEnd } from '../protocol/public/migration.ts';
import { didYouMean } from '../protocol/nearest.ts';
import type { Migration, MigrationStore } from './store.ts';

const DISCOVER_MS = 10_000;

/** The guests of this host, as its drivers find them. Looks afresh each time; those who ask at once share one look. */
export class Guests {
  readonly #config: AgentConfig;
  readonly drivers: readonly Driver[];
  readonly #store: MigrationStore;
  #looking: Promise<DiscoveredGuest[]> | undefined;
  #count = 0;

  constructor(config: AgentConfig, drivers: readonly Driver[], store: MigrationStore) {
    this.#config = config;
    this.drivers = drivers;
    this.#store = store;
  }

  /** How many there were when somebody looked last. */
  get count(): number {
    return this.#count;
  }

  async list(): Promise<GuestInfo[]> {
    const found = await this.look();
    return found.map(({ info }) => info);
  }

  /** GODWIT_GUEST_UNKNOWN, with the nearest name, when there is none. */
  async need(name: string): Promise<DiscoveredGuest> {
    const all = await this.look();
    const found = all.find(({ info }) => info.name === name);
    if (found !== undefined) return found;
    const names = all.map(({ info }) => info.name);
    const near = didYouMean(name, names);
    throw godwitError(
      'GODWIT_GUEST_UNKNOWN',
      { guest: name, host: this.#config.name },
      near === undefined ? {} : { hint: near },
    );
  }

  async look(): Promise<DiscoveredGuest[]> {
    this.#looking ??= this.#discover().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #discover(): Promise<DiscoveredGuest[]> {
    const moving = new Map(this.#store.running().map((each) => [guestOf(each), each.id]));
    const options = {
      host: this.#config.name,
      busy: new Set(moving.keys()),
      configured: this.#config.guests,
    };
    const what = `to look for the guests of ${this.#config.name}`;
    const found = await withDeadline(what, DISCOVER_MS, undefined, async (signal) => {
      const all = this.drivers.map((driver) => driver.discover(options, signal));
      return (await Promise.all(all)).flat();
    });
    this.#count = found.length;
    return found.map((guest) => withMigration(guest, moving.get(guest.info.name)));
  }
}

/** The guest that a migration moves. */
export function guestOf({ request }: Migration): string {
  return request.side === 'source' ? request.request.guest : request.admission.guest;
}

/** The migration of a guest that has not ended; undefined when it has none. */
export function migrationOf(store: MigrationStore, guest: string): Migration | undefined {
  return store.all().findLast((each) => guestOf(each) === guest && !isEnd(phaseOf(store, each)));
}

/**
 * Why nobody can tell what became of a guest: its newest migration's journal cannot be read. Throws that error; until a
 * person has looked, the guest is neither moved nor let in.
 */
export function mustBeReadable(store: MigrationStore, guest: string): void {
  const newest = store.all().findLast((each) => guestOf(each) === guest);
  const unreadable = newest === undefined ? undefined : store.unreadable(newest.id);
  if (unreadable !== undefined) throw unreadable;
}

function phaseOf(store: MigrationStore, { id }: Migration) {
  return store.progress(id).phase;
}

function withMigration(guest: DiscoveredGuest, migration: string | undefined): DiscoveredGuest {
  if (migration === undefined) return guest;
  return { ...guest, info: { ...guest.info, migration } };
}
