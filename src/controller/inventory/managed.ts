import type { Log } from '../../log.ts';
import type { GuestInfo } from '../../protocol/public/hosts/host.ts';
import type { ManagedHost } from '../../protocol/public/hosts/managed-host.ts';
import type { MigrationSummary, Progress } from '../../protocol/public/migration.ts';
import type { ManagerHeard } from '../managers/follower.ts';
import type { HostBook } from './host-book.ts';
import { guestKey } from './pending.ts';

/** Where a host of a manager is asked: at its manager. */
export interface ManagedPlace {
  readonly manager: string;
  /** host:port of the manager. */
  readonly address: string;
}

interface Manager {
  readonly address: string;
  /** Those that it last reported; before it was asked, those that it reported to an earlier controller. */
  hosts: Map<string, ManagedHost | undefined>;
  /** The host of each of its guests, by the guest's key. */
  readonly homes: Map<string, string>;
  readonly again: () => void;
  silence: string | undefined;
  lastMs: number | undefined;
}

export interface ManagedHostsDependencies {
  readonly log: Log;
  readonly nowMs: () => number;
  /** Hears of migrations of the hosts that are followed. */
  readonly migrated: (host: string) => void;
  readonly moved: (host: string, progress: Progress) => void;
}

/**
 * The hosts of all managers of this controller, beside those of the fleet: they have no agent of their own, and what their
 * manager's agent reports goes to the book of the host that it is about.
 */
export class ManagedHosts {
  readonly #deps: ManagedHostsDependencies;
  readonly #managers = new Map<string, Manager>();
  readonly #books = new Map<string, HostBook>();
  /** Names of hosts that two managers have, or that a host of the fleet has too. */
  readonly #taken = new Set<string>();

  constructor(deps: ManagedHostsDependencies) {
    this.#deps = deps;
  }

  /** A manager whose hosts are to be followed. `again`: has it report everything once more. */
  add(manager: string, address: string, again: () => void): ManagerHeard {
    const own: Manager = {
      address,
      hosts: new Map(),
      homes: new Map(),
      again,
      silence: undefined,
      lastMs: undefined,
    };
    this.#managers.set(manager, own);
    return this.#heard(manager, own);
  }

  /** Its hosts are none of this controller's any more. */
  remove(manager: string): void {
    this.#managers.delete(manager);
  }

  /** A host as an earlier controller wrote it down, until its manager is heard. False where there is no such manager. */
  recall(host: string, manager: string): boolean {
    const own = this.#managers.get(manager);
    if (own === undefined) return false;
    if (own.lastMs === undefined && !own.hosts.has(host)) own.hosts.set(host, undefined);
    return own.hosts.has(host);
  }

  /** All of them, but for those whose names `isTaken`. */
  places(isTaken: (host: string) => boolean): Map<string, ManagedPlace> {
    const places = new Map<string, ManagedPlace>();
    for (const [manager, { hosts, address }] of this.#managers) {
      for (const host of hosts.keys()) {
        if (isTaken(host) || places.has(host)) this.#warn(host, manager);
        else places.set(host, { manager, address });
      }
    }
    return places;
  }

  placeOf(host: string): ManagedPlace | undefined {
    for (const [manager, { hosts, address }] of this.#managers)
      if (hosts.has(host)) return { manager, address };
    return undefined;
  }

  /** As it last reported; undefined where it was not heard yet. */
  counts(manager: string): { readonly hosts: number; readonly guests: number } | undefined {
    const own = this.#managers.get(manager);
    if (own?.lastMs === undefined) return undefined;
    return { hosts: own.hosts.size, guests: own.homes.size };
  }

  /** The book hears of its host from now on. */
  follow(host: string, manager: string, book: HostBook): void {
    this.#books.set(host, book);
    const own = this.#managers.get(manager);
    if (own?.silence !== undefined) this.#lose(book, manager, own);
    else if (own?.lastMs !== undefined) own.again();
  }

  left(host: string): void {
    this.#books.delete(host);
  }

  #heard(name: string, own: Manager): ManagerHeard {
    return {
      all: (hosts, guests) => {
        this.#alive(own);
        own.hosts = new Map(hosts.map((host) => [host.name, host]));
        own.homes.clear();
        for (const guest of guests) own.homes.set(guestKey(guest), guest.host);
        const byHost = Map.groupBy(guests, ({ host }) => host);
        for (const host of hosts)
          this.#books.get(host.name)?.managed(name, host, byHost.get(host.name) ?? []);
      },
      host: (host) => {
        this.#alive(own);
        own.hosts.set(host.name, host);
        this.#books.get(host.name)?.managed(name, host);
      },
      hostGone: (host) => {
        this.#alive(own);
        own.hosts.delete(host);
      },
      guest: (guest) => this.#guest(own, guest),
      guestGone: (guest) => {
        this.#alive(own);
        for (const [key, host] of own.homes) {
          if (!key.startsWith(`${guest} `)) continue;
          own.homes.delete(key);
          this.#books.get(host)?.event({ id: '0', type: 'guest-gone', name: guest });
        }
      },
      migrated: (migration) => {
        for (const host of hostsOf(migration, own)) this.#deps.migrated(host);
      },
      moved: (progress) => {
        this.#alive(own);
        for (const host of hostsOf(progress, own)) {
          this.#deps.migrated(host);
          this.#deps.moved(host, progress);
        }
      },
      silent: (reason) => {
        own.silence = reason;
        for (const host of own.hosts.keys()) {
          const book = this.#books.get(host);
          if (book !== undefined) this.#lose(book, name, own);
        }
      },
    };
  }

  /** A manager reports where a guest is now, and not where it is no more. */
  #guest(own: Manager, guest: GuestInfo): void {
    this.#alive(own);
    const key = guestKey(guest);
    const before = own.homes.get(key);
    own.homes.set(key, guest.host);
    this.#books.get(guest.host)?.event({ id: '0', type: 'guest', guest });
    if (before !== undefined && before !== guest.host) this.#books.get(before)?.leave(key);
  }

  #alive(own: Manager): void {
    own.silence = undefined;
    own.lastMs = this.#deps.nowMs();
  }

  #lose(book: HostBook, manager: string, { silence = '', lastMs }: Manager): void {
    book.lost('silent', `its manager ${manager} is silent: ${silence}`.slice(0, 1000), lastMs);
  }

  #warn(host: string, manager: string): void {
    if (this.#taken.has(host)) return;
    this.#taken.add(host);
    this.#deps.log.warn({ host, manager }, 'host of a manager ignored: another host has its name');
  }
}

function hostsOf({ from, to }: Pick<MigrationSummary, 'from' | 'to'>, own: Manager): string[] {
  return [...new Set([from, to])].filter((host) => own.hosts.has(host));
}
