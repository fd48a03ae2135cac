import type { OverviewGuest, OverviewHost } from '../../../src/protocol/controller/overview.ts';
import type { FleetHost, HostState } from '../../../src/protocol/controller/fleet.ts';
import type { GuestInfo, GuestRunState } from '../../../src/protocol/public/host.ts';
import type { FleetChange } from '../base/news.ts';
import type { Piece } from './pieces.ts';

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

/** A fleet that is being read. */
export interface FleetDraft {
  readonly hosts: Map<string, HostView>;
  readonly homes: Map<string, string>;
  guestCount: number;
}

/** `values`: figures of hosts that were there; `shape`: hosts or guests came, went, or are in another state. */
export type Change = 'nothing' | 'values' | 'shape';

/**
 * The fleet as the page knows it: an overview, and the events since. A host is replaced as a whole when something of it
 * changes, so that who draws it sees that by its identity.
 */
export class FleetModel {
  hosts = new Map<string, HostView>();
  /** Where a guest was last, so that its going and its coming are one move, whichever is heard of first. */
  #homes = new Map<string, string>();
  /** Of hosts that stand in two minds about one guest. */
  readonly conflicts = new Map<string, readonly string[]>();
  guestCount = 0;

  /** What takes the place of all that is known, once it is whole. */
  draft(): FleetDraft {
    return { hosts: new Map(), homes: new Map(), guestCount: 0 };
  }

  /** What has not changed stays the same object, so that nobody draws it again. */
  add(draft: FleetDraft, piece: Piece): void {
    for (const [host, guests] of piece) {
      const [name] = host;
      for (const [guest, , , state] of guests)
        if (state !== 'incoming') draft.homes.set(guest, name);
      draft.guestCount += guests.length;
      draft.hosts.set(name, hostView(host, guests, this.hosts.get(name)));
    }
  }

  replace({ hosts, homes, guestCount }: FleetDraft): void {
    this.hosts = hosts;
    this.#homes = homes;
    this.guestCount = guestCount;
  }

  /** One event after the overview; reported twice it changes nothing. */
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

const FIELDS = [
  'state',
  'cores',
  'memoryBytes',
  'memoryAvailableBytes',
  'processorShare',
  'pressure',
  'draining',
  'guests',
] as const satisfies (keyof HostView)[];

/** A host of an overview; `before` itself where nothing of it has changed. */
function hostView(
  host: OverviewHost,
  list: readonly OverviewGuest[],
  before: HostView | undefined,
): HostView {
  const [name, state, cores, memoryBytes, memoryAvailableBytes, share, pressure, draining] = host;
  const next: HostView = {
    name,
    state,
    cores: cores ?? undefined,
    memoryBytes: memoryBytes ?? undefined,
    memoryAvailableBytes: memoryAvailableBytes ?? undefined,
    processorShare: share ?? undefined,
    pressure: pressure ?? undefined,
    draining: draining === 1,
    guests: guestViews(name, list, before?.guests ?? []),
  };
  if (before === undefined) return next;
  return FIELDS.every((field) => next[field] === before[field]) ? before : next;
}

/** By name; `before` itself where it says the same. */
function guestViews(
  host: string,
  list: readonly OverviewGuest[],
  before: readonly GuestView[],
): readonly GuestView[] {
  const sorted = list.toSorted(([one], [other]) => (one < other ? -1 : Number(one > other)));
  const views = sorted.map(([name, , memoryBytes, state], at): GuestView => {
    const next = { name, host, state, memoryBytes: memoryBytes ?? 0 };
    const old = before[at];
    return old !== undefined && old.name === name && isSame(old, next) ? old : next;
  });
  const isAsBefore =
    views.length === before.length && views.every((each, at) => each === before[at]);
  return isAsBefore ? before : views;
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
