import type { OverviewGuest, OverviewHost } from '../../../src/protocol/controller/overview.ts';
import type { FleetHost, HostState } from '../../../src/protocol/controller/fleet.ts';
import type { GuestInfo } from '../../../src/protocol/public/hosts/host.ts';
import { mergeReports, type GuestReport } from '../../../src/protocol/public/moving.ts';
import type { FleetChange } from '../base/news.ts';
import type { Piece } from './pieces.ts';

/** A report of a guest, as its host's card shows it. */
export interface GuestView extends GuestReport {
  readonly memoryBytes: number;
  /** The overview lists it without its uuid: at that moment it was the only guest of its name. */
  readonly isAlone?: true;
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
export interface GuestMove {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
}

/** A fleet that is being read. */
export interface FleetDraft {
  readonly hosts: Map<string, HostView>;
  readonly reports: Map<string, readonly GuestView[]>;
  guestCount: number;
  after: string | undefined;
}

/** `values`: figures of hosts that were there; `shape`: hosts or guests came, went, or are in another state. */
export type Change = 'nothing' | 'values' | 'shape';

/**
 * The fleet as the page knows it: an overview, and the events since. A host is replaced as a whole when something of it
 * changes, so that who draws it sees that by its identity.
 */
export class FleetModel {
  hosts = new Map<string, HostView>();
  /** What hosts report of the guests of each name, including reports that an other one supersedes. */
  #reports = new Map<string, readonly GuestView[]>();
  /** Where guests were that are on no host now: agents of earlier builds do not report where a guest went. */
  readonly #before = new Map<string, string>();
  /** Hosts that claim to run one guest, by its name: it is shown on each of them. */
  conflicts = new Map<string, readonly string[]>();
  guestCount = 0;
  /** Older events of guests than this one are in the overview, which may have newer ones. */
  #after: string | undefined;

  /** What takes the place of all that is known, once it is whole. */
  draft(): FleetDraft {
    return { hosts: new Map(), reports: new Map(), guestCount: 0, after: undefined };
  }

  /** What has not changed stays the same object, so that nobody draws it again. */
  add(draft: FleetDraft, piece: Piece): void {
    draft.after = piece.after;
    for (const [host, guests] of piece.hosts) {
      const [name] = host;
      const view = hostView(host, guests, this.hosts.get(name));
      for (const guest of view.guests)
        draft.reports.set(guest.name, [...(draft.reports.get(guest.name) ?? []), guest]);
      draft.guestCount += guests.length;
      draft.hosts.set(name, view);
    }
  }

  replace({ hosts, reports, guestCount, after }: FleetDraft): void {
    this.#after = after;
    this.#before.clear();
    this.hosts = hosts;
    this.#reports = reports;
    this.guestCount = guestCount;
    // The overview has each guest once, and those of a conflict on each of their hosts.
    const isShown = ([name]: readonly [string, unknown]): boolean =>
      (reports.get(name)?.length ?? 0) > 1;
    this.conflicts = new Map([...this.conflicts].filter(isShown));
  }

  /** One event; reported twice it changes nothing, and neither does one that the overview has. */
  apply(news: FleetChange): { readonly change: Change; readonly moved?: GuestMove } {
    const isOfGuest = news.type === 'guest' || news.type === 'guest-gone';
    if (isOfGuest && isBefore(news.id, this.#after)) return { change: 'nothing' };
    switch (news.type) {
      case 'host':
        return { change: this.#host(news.host) };
      case 'host-gone': {
        if (!this.hosts.has(news.name)) return { change: 'nothing' };
        const isThere = ({ host }: GuestView): boolean => host === news.name;
        for (const [name, reports] of this.#reports)
          if (reports.some(isThere))
            this.#show(
              name,
              reports.filter((each) => !isThere(each)),
            );
        this.hosts.delete(news.name);
        return { change: 'shape' };
      }
      case 'guest':
        return this.#guest(news.guest);
      case 'guest-gone':
        return { change: this.#gone(news) };
      case 'conflict':
        this.conflicts.set(news.name, news.hosts);
        this.#show(news.name, this.#reports.get(news.name) ?? []);
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

  /** Guests may come to the host again; the next overview has the same. */
  open(name: string): void {
    const host = this.hosts.get(name);
    if (host?.draining === true) this.hosts.set(name, { ...host, draining: false });
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

  #guest(reported: GuestInfo): { change: Change; moved?: GuestMove } {
    const {
      name,
      host,
      uuid,
      state,
      manager,
      epoch,
      migration,
      moving,
      memoryBytes = 0,
    } = reported;
    const order = { uuid, manager, epoch, migration, moving };
    const next: GuestView = { name, host, state, memoryBytes, ...order };
    const all = this.#reports.get(name) ?? [];
    const before = all.find((each) => isOf(each, next));
    if (before !== undefined && isSame(before, next)) return { change: 'nothing' };
    if (!this.hosts.has(host)) this.hosts.set(host, newHost(host));
    const from = runner(this.#rowsOf(all)) ?? this.#before.get(name);
    const to = runner(this.#show(name, [...all.filter((each) => each !== before), next]));
    if (to !== undefined) this.#before.delete(name);
    const moved = from !== undefined && to !== undefined && from !== to;
    return { change: 'shape', ...(moved && { moved: { guest: name, from, to } }) };
  }

  #gone({ host, name, uuid }: Extract<FleetChange, { type: 'guest-gone' }>): Change {
    const all = this.#reports.get(name) ?? [];
    const gone = all.filter((each) => each.host === host && isNamed(each, uuid));
    if (gone.length === 0) return 'nothing';
    const from = runner(this.#rowsOf(all));
    if (from !== undefined && this.#before.size < MAX_BEFORE) this.#before.set(name, from);
    // Another controller follows its new host: the next overview has the guest there.
    if (all.length === 1 && gone.every(hasLeft)) return 'nothing';
    this.#show(
      name,
      all.filter((each) => !gone.includes(each)),
    );
    return 'shape';
  }

  /** The reports that stand for the guests of one name: one of each guest. */
  #rowsOf(reports: readonly GuestView[]): readonly GuestView[] {
    const [only, ...more] = reports;
    if (only === undefined || more.length === 0) return reports;
    const claimed = this.conflicts.get(only.name) ?? [];
    const uuid = reports.find((each) => each.uuid !== undefined)?.uuid;
    const known = reports.map((of) => (of.isAlone ? { ...of, uuid, of } : { ...of, of }));
    return mergeReports(known).flatMap(({ row, others }) => [
      row.of,
      ...others
        .filter(({ host }) => claimed.includes(host) && claimed.includes(row.host))
        .map(({ of }) => of),
    ]);
  }

  /** Puts the guests of one name on their hosts, by these reports. */
  #show(name: string, reports: readonly GuestView[]): readonly GuestView[] {
    const rows = this.#rowsOf(reports);
    const before = this.#reports.get(name) ?? [];
    if (reports.length === 0) this.#reports.delete(name);
    else this.#reports.set(name, reports);
    for (const at of new Set([...before, ...reports].map(({ host }) => host))) {
      const host = this.hosts.get(at);
      if (host === undefined) continue;
      const old = host.guests.filter((each) => each.name === name);
      const own = rows.filter((each) => each.host === at);
      if (old.length === own.length && old.every((each) => own.includes(each))) continue;
      const others = host.guests.filter((each) => each.name !== name);
      this.guestCount += own.length - old.length;
      this.hosts.set(at, { ...host, guests: [...others, ...own].toSorted(byName) });
    }
    return rows;
  }
}

const MAX_BEFORE = 1000;

/** Whether the event is the other or an older one; not known of events of different runs of a controller. */
function isBefore(id: string | undefined, other: string | undefined): boolean {
  const [run, count] = id?.split('-') ?? [];
  const [otherRun, otherCount] = other?.split('-') ?? [];
  return run !== undefined && run === otherRun && Number(count) <= Number(otherCount);
}

/** Whether both are reports of one guest by one host; the overview lists most guests without their uuids. */
const isOf = (one: GuestView, other: GuestView): boolean =>
  one.host === other.host && (one.isAlone === true || one.uuid === other.uuid);

const isNamed = (guest: GuestView, uuid: string | undefined): boolean =>
  guest.isAlone === true || guest.uuid === uuid;

const hasLeft = ({ host, moving }: GuestView): boolean =>
  moving?.from === host && moving.runsAt === 'destination';

/** Where the guest runs; undefined if that is not certain, or several guests have the name. */
function runner(rows: readonly GuestView[]): string | undefined {
  const [only, ...more] = rows;
  if (only === undefined || more.length > 0 || hasLeft(only)) return undefined;
  return only.state === 'running' || only.state === 'paused' || only.state === 'migrating'
    ? only.host
    : undefined;
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
  const views = sorted.map(([name, , memoryBytes, state, report], at): GuestView => {
    const whole = report === undefined ? ({ isAlone: true } as const) : report;
    const next = { name, host, state, memoryBytes: memoryBytes ?? 0, ...whole };
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

const SHOWN = ['state', 'memoryBytes', 'uuid', 'epoch', 'migration', 'isAlone'] as const;

const isSame = (one: GuestView, other: GuestView): boolean =>
  SHOWN.every((field) => one[field] === other[field]) &&
  JSON.stringify(one.moving) === JSON.stringify(other.moving);

// Not localeCompare: 100,000 names are sorted by it in a second.
const byName = (one: GuestView, other: GuestView): number =>
  one.name < other.name ? -1 : Number(one.name > other.name);
