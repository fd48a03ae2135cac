import type { Overview } from '../../../src/protocol/controller/overview.ts';
import type { FleetHost, HostState } from '../../../src/protocol/controller/fleet.ts';
import type { GuestInfo, GuestRunState } from '../../../src/protocol/public/host.ts';
import type { FleetChange } from '../base/news.ts';

export interface GuestView {
  readonly name: string;
  readonly host: string;
  readonly state: GuestRunState;
  readonly memoryBytes: number;
}

export interface HostView {
  readonly name: string;
  readonly state: HostState;
  readonly cores: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly memoryAvailableBytes: number | undefined;
  /** 0..1 of all its cores; undefined while nobody knows. */
  readonly processorShare: number | undefined;
  /** 0..1 of the time in which something waited; undefined where its kernel does not say. */
  readonly pressure: number | undefined;
  readonly draining: boolean;
  /** By name. */
  readonly guests: readonly GuestView[];
}

/** A guest that runs on another host than before. */
export interface Moved {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
}

/** `values`: figures of hosts that were there; `shape`: hosts or guests came, went, or are in another state. */
export type Change = 'nothing' | 'values' | 'shape';

/**
 * The fleet as the page knows it: an overview, and the events since. A host is replaced as a whole when something of it
 * changes, so that who draws it sees that by its identity.
 */
export class FleetModel {
  readonly hosts = new Map<string, HostView>();
  /** Where a guest was last, so that its going and its coming are one move, whichever is heard of first. */
  readonly #homes = new Map<string, string>();
  /** Of hosts that stand in two minds about one guest. */
  readonly conflicts = new Map<string, readonly string[]>();
  guestCount = 0;

  /** Takes an overview in the place of all that is known. */
  reset({ hosts, guests }: Overview): void {
    const lists: GuestView[][] = hosts.map(() => []);
    this.#homes.clear();
    for (const [name, index, memoryBytes, state] of guests) {
      const host = hosts[index]?.[0];
      if (host === undefined) continue;
      lists[index]?.push({ name, host, state, memoryBytes: memoryBytes ?? 0 });
      if (state !== 'incoming') this.#homes.set(name, host);
    }
    this.hosts.clear();
    this.guestCount = 0;
    for (const [at, host] of hosts.entries()) {
      const list = (lists[at] ?? []).toSorted(byName);
      this.guestCount += list.length;
      this.hosts.set(host[0], {
        name: host[0],
        state: host[1],
        cores: host[2] ?? undefined,
        memoryBytes: host[3] ?? undefined,
        memoryAvailableBytes: host[4] ?? undefined,
        processorShare: host[5] ?? undefined,
        pressure: host[6] ?? undefined,
        draining: host[7] === 1,
        guests: list,
      });
    }
  }

  /** One event after the overview; told twice it changes nothing. */
  apply(news: FleetChange): { readonly change: Change; readonly moved?: Moved } {
    switch (news.type) {
      case 'host':
        return { change: this.#host(news.host) };
      case 'host-gone': {
        const gone = this.hosts.get(news.name);
        if (gone === undefined) return { change: 'nothing' };
        this.guestCount -= gone.guests.length;
        this.hosts.delete(news.name);
        return { change: 'shape' };
      }
      case 'guest':
        return this.#guest(news.guest);
      case 'guest-gone':
        return { change: this.#gone(news.host, news.name) };
      case 'conflict':
        this.conflicts.set(news.name, news.hosts);
        return { change: 'shape' };
    }
  }

  /** Says of which hosts guests are to leave; of all the others they are not. */
  drain(names: ReadonlySet<string>): void {
    for (const host of this.hosts.values()) {
      const draining = names.has(host.name);
      if (host.draining !== draining) this.hosts.set(host.name, { ...host, draining });
    }
  }

  #host(reported: FleetHost): Change {
    const before = this.hosts.get(reported.name);
    const { load } = reported;
    const next: HostView = {
      name: reported.name,
      state: reported.state,
      cores: reported.cores ?? before?.cores,
      memoryBytes: reported.memoryBytes ?? before?.memoryBytes,
      memoryAvailableBytes:
        load?.memory.availableBytes ??
        reported.memoryAvailableBytes ??
        before?.memoryAvailableBytes,
      processorShare:
        reported.state === 'up' ? (load?.processor.used ?? before?.processorShare) : undefined,
      pressure: reported.state === 'up' ? before?.pressure : undefined,
      draining: before?.draining ?? false,
      guests: before?.guests ?? [],
    };
    this.hosts.set(reported.name, next);
    return before !== undefined && before.state === next.state ? 'values' : 'shape';
  }

  #guest(reported: GuestInfo): { change: Change; moved?: Moved } {
    const host = this.hosts.get(reported.host) ?? newHost(reported.host);
    const { name, state } = reported;
    const next: GuestView = {
      name,
      host: reported.host,
      state,
      memoryBytes: reported.memoryBytes ?? 0,
    };
    const at = host.guests.findIndex((each) => each.name === name);
    const before = at < 0 ? undefined : host.guests[at];
    if (before !== undefined && isSame(before, next)) return { change: 'nothing' };
    const guests =
      before === undefined ? [...host.guests, next].toSorted(byName) : host.guests.with(at, next);
    if (before === undefined) this.guestCount += 1;
    this.hosts.set(host.name, { ...host, guests });
    if (state === 'incoming' || state === 'unknown' || state === 'stopped')
      return { change: 'shape' };
    const from = this.#homes.get(name);
    const isStillThere = from !== undefined && state === 'migrating';
    if (from === reported.host || isStillThere) return { change: 'shape' };
    this.#homes.set(name, reported.host);
    return {
      change: 'shape',
      ...(from === undefined ? {} : { moved: { guest: name, from, to: reported.host } }),
    };
  }

  #gone(hostName: string, name: string): Change {
    const host = this.hosts.get(hostName);
    const guests = host?.guests.filter((each) => each.name !== name);
    if (host === undefined || guests === undefined || guests.length === host.guests.length)
      return 'nothing';
    this.guestCount -= host.guests.length - guests.length;
    this.hosts.set(hostName, { ...host, guests });
    return 'shape';
  }
}

function newHost(name: string): HostView {
  return {
    name,
    state: 'new',
    cores: undefined,
    memoryBytes: undefined,
    memoryAvailableBytes: undefined,
    processorShare: undefined,
    pressure: undefined,
    draining: false,
    guests: [],
  };
}

const isSame = (one: GuestView, other: GuestView): boolean =>
  one.state === other.state && one.memoryBytes === other.memoryBytes;

// Not localeCompare: 100,000 names are sorted by it in a second.
const byName = (one: GuestView, other: GuestView): number =>
  one.name < other.name ? -1 : Number(one.name > other.name);
