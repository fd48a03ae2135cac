import type { Log } from '../../log.ts';
import type { GuestInfo } from '../../protocol/public/hosts/host.ts';
import type { ManagedHost } from '../../protocol/public/hosts/managed-host.ts';
import type { MigrationSummary, Progress } from '../../protocol/public/migration.ts';
import type { ManagerHeard } from '../managers/follower.ts';
import type { HostBook } from './host-book.ts';
import { guestKey } from './pending.ts';

export interface ManagedPlace {
  readonly manager: string;
  readonly address: string;
}

interface Manager {
  readonly address: string;
  /** The last report; before the first one, the report to an earlier controller. */
  hosts: Map<string, ManagedHost | undefined>;
  readonly homes: Map<string, string>;
  readonly again: () => void;
  silence: string | undefined;
  lastMs: number | undefined;
}

export interface ManagedHostsDependencies {
  readonly log: Log;
  readonly nowMs: () => number;
  readonly migrated: (host: string) => void;
  readonly moved: (host: string, progress: Progress) => void;
}

/**
 * The hosts of this controller's managers, next to the fleet's. They have no agent; their manager's reports go to the
 * book of each host.
 */
export class ManagedHosts {
  readonly #deps: ManagedHostsDependencies;
  readonly #managers = new Map<string, Manager>();
  readonly #books = new Map<string, HostBook>();
  /** Names that two managers have, or that a host of the fleet has too. */
  readonly #taken = new Set<string>();

  constructor(deps: ManagedHostsDependencies) {
    this.#deps = deps;
  }

  /** Follows a manager's hosts. `again` requests a full report. */
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

  remove(manager: string): void {
    this.#managers.delete(manager);
  }

  /** A host as an earlier controller stored it, until its manager reports. False if there is no such manager. */
  recall(host: string, manager: string): boolean {
    const own = this.#managers.get(manager);
    if (own === undefined) return false;
    if (own.lastMs === undefined && !own.hosts.has(host)) own.hosts.set(host, undefined);
    return own.hosts.has(host);
  }

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

  counts(manager: string): { readonly hosts: number; readonly guests: number } | undefined {
    const own = this.#managers.get(manager);
    if (own?.lastMs === undefined) return undefined;
    return { hosts: own.hosts.size, guests: own.homes.size };
  }

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

  /** A manager reports a guest's new host, but not its departure from the old one. */
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
