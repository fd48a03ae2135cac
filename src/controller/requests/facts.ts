import type { FleetRequest } from '../../protocol/controller/fleet-request.ts';
import type { PastRates } from '../history/rates.ts';
import type { MaintenanceMode, PowerMode } from '../../protocol/public/hosts/managed-host.ts';
import type { GuestRunState } from '../../protocol/public/hosts/host.ts';
import { NO_LABELS, readLabels, type Labels } from '../../protocol/label-rules.ts';
import type { SiteLink } from '../site-map.ts';

export interface HostFacts {
  readonly name: string;
  /** Absent if its agent names no site. */
  readonly site?: string;
  /** Guests move only within a realm; absent: the hosts with agents. */
  readonly realm?: string;
  /** The reason why the host admits no guests now, from its manager or agent. */
  readonly closed?: string;
  /** Maintenance mode that its manager offers for it. */
  readonly maintenanceMode?: MaintenanceMode;
  readonly powerMode?: PowerMode;
  /** ms since 1970; absent while it answers. */
  readonly silentSinceMs?: number;
  /** Time of the last look at its guests, by the store's clock. */
  readonly seenAtMs: number;
  readonly cores: number;
  readonly memoryBytes: number;
  /** Memory that its kernel can still allocate. */
  readonly availableBytes?: number;
  /** bytes/s */
  readonly linkBytesPerSecond?: number;
}

export interface Sighting {
  readonly host: string;
  readonly state: GuestRunState;
}

export interface GuestFacts {
  readonly name: string;
  readonly at: readonly Sighting[];
  readonly memoryBytes: number;
  readonly vcpus: number;
  /** Processors used at the last samples, newest first; empty if unknown. */
  readonly demand: readonly number[];
  readonly dirtyBytesPerSecond?: number;
  /** Size of its disks; absent if its host sees none. */
  readonly diskBytes?: number;
  readonly unmovable: readonly string[];
  readonly manager?: string;
  /** The running migration, by Godwit or another program. */
  readonly migration?: string;
  readonly movingTo?: string;
  /** Hosts that run different guests of this name, if the name is ambiguous. */
  readonly rivals?: readonly string[];
}

export type PowerState = 'falling-asleep' | 'asleep' | 'waking';

export interface HostMark {
  readonly host: string;
  /** The request that drains or drained it; no guest is moved there. */
  readonly drainingFor?: string;
  /** That request is open, and starts its guests elsewhere. */
  readonly recovering?: true;
  readonly outLimit?: number;
  readonly inLimit?: number;
  readonly maintenance?: string;
  readonly power?: PowerState;
}

/** Undefined unless it is drained, noted as needing care, asleep, or closed by its manager. */
export function whyClosed(
  { marks, hosts }: Pick<World, 'marks' | 'hosts'>,
  host: string,
): string | undefined {
  const mark = marks.get(host);
  if (mark?.drainingFor !== undefined) return `${host} is being drained`;
  if (mark?.maintenance !== undefined) return `${host} is noted for maintenance`;
  const closed = hosts.get(host)?.closed;
  switch (mark?.power) {
    case undefined:
      return closed === undefined ? undefined : `${host}: ${closed}`;
    case 'falling-asleep':
      return `${host} has no guest and is about to fall asleep`;
    case 'asleep':
      return `${host} sleeps`;
    case 'waking':
      return `${host} is being woken`;
  }
}

/** Room at a destination, promised to a move until the move is settled. */
export interface Reservation {
  readonly move: string;
  readonly request: string;
  readonly guest: string;
  readonly host: string;
  /** The source host; absent once the move has ended and only its memory counts. */
  readonly source?: string;
  readonly memoryBytes: number;
  /** When its move was settled, by the store's clock: see `stillPromised`. */
  readonly givenBackAtMs?: number;
}

export interface Limits {
  readonly outPerHost: number;
  readonly inPerHost: number;
  readonly fleet: number;
  /** By `a>b`. */
  readonly links: Readonly<Record<string, number>>;
}

export const DEFAULT_LIMITS: Limits = { outPerHost: 4, inPerHost: 4, fleet: 1000, links: {} };

export interface Other {
  readonly request: string;
  readonly priority: number;
  readonly running: number;
  readonly waiting: number;
}

/** Hosts that can start a guest if its host dies, or why a host refused. */
export interface StandbyFacts {
  readonly hosts: readonly string[];
  readonly words?: string;
}

/** Read at one moment. */
export interface World {
  readonly nowMs: number;
  readonly hosts: ReadonlyMap<string, HostFacts>;
  /** By name; all but one of several namesakes have a key that no name can be: see namesakes.ts. */
  readonly guests: ReadonlyMap<string, GuestFacts>;
  readonly marks: ReadonlyMap<string, HostMark>;
  readonly reservations: readonly Reservation[];
  readonly limits: Limits;
  /** Rates from earlier migrations; absent: not read. */
  readonly past?: PastRates;
  readonly others: readonly Other[];
  readonly labels: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly siteLinks?: readonly SiteLink[];
  /** By `HOST GUEST`; absent: not read. */
  readonly standbys?: ReadonlyMap<string, StandbyFacts>;
  /** Bytes that this request's moves have sent, as reported or, without a report, as predicted. */
  readonly spentBytes?: number;
}

export const labelsOf = ({ labels }: World, guest: string): Labels | { words: string } => {
  const given = labels.get(guest);
  return given === undefined ? NO_LABELS : readLabels(given);
};

export function priorityOf(world: World, guest: string): number {
  const labels = labelsOf(world, guest);
  return 'words' in labels ? 0 : (labels.priority ?? 0);
}

/** Own properties only: a guest may be named `constructor`. */
export const ownOf = <T>(record: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined;

/** Time between the owner's notice and the move, ms: the longest requested. */
export function noticeMsOf(
  guest: string,
  { ask }: Pick<FleetRequest, 'ask'>,
  world: World,
): number {
  const labels = labelsOf(world, guest);
  const labelled = 'words' in labels ? 0 : (labels.noticeMs ?? 0);
  return Math.max(labelled, ask.settings.noticeMs ?? 0);
}

/** Whether it moves cold: it cannot move live, and the request allows that. */
export function goesCold(guest: string, { ask }: Pick<FleetRequest, 'ask'>, world: World): boolean {
  const labels = labelsOf(world, guest);
  if ('unplug' in labels) return false;
  return ask.cold === true && (world.guests.get(guest)?.unmovable.length ?? 0) > 0;
}

export const homesOf = ({ at }: GuestFacts): readonly Sighting[] =>
  at.filter(({ state }) => state !== 'incoming');

export const runsOf = (guest: GuestFacts): readonly Sighting[] =>
  homesOf(guest).filter(({ state }) => state !== 'stopped');

export const isAt = (guest: GuestFacts | undefined, host: string): boolean =>
  guest !== undefined && homesOf(guest).some((each) => each.host === host);

interface OnHost {
  bytes: number;
  readonly guests: string[];
  /** Keys of guests that are moving there and not listed yet. */
  readonly coming: string[];
}

const indexes = new WeakMap<World['guests'], ReadonlyMap<string, OnHost>>();

/** Cached per look at the fleet. */
function indexOf(guests: World['guests']): ReadonlyMap<string, OnHost> {
  const known = indexes.get(guests);
  if (known !== undefined) return known;
  const index = new Map<string, OnHost>();
  const entryOf = (host: string): OnHost => {
    const entry = index.get(host) ?? { bytes: 0, guests: [], coming: [] };
    index.set(host, entry);
    return entry;
  };
  for (const [key, { at, memoryBytes, movingTo }] of guests) {
    for (const [place, { host }] of at.entries()) {
      if (at.findIndex((each) => each.host === host) < place) continue;
      const entry = entryOf(host);
      entry.bytes += memoryBytes;
      entry.guests.push(key);
    }
    if (movingTo !== undefined && !at.some(({ host }) => host === movingTo))
      entryOf(movingTo).coming.push(key);
  }
  indexes.set(guests, index);
  return index;
}

export const guestBytes = ({ guests }: World, host: string): number =>
  indexOf(guests).get(host)?.bytes ?? 0;

export const guestsAt = ({ guests }: World, host: string): readonly string[] =>
  indexOf(guests).get(host)?.guests ?? [];

/** Keys of guests that are moving to the host and not listed yet, whoever requested it. */
export const broughtTo = ({ guests }: World, host: string): readonly string[] =>
  indexOf(guests).get(host)?.coming ?? [];
