import type { FleetRequest } from '../../protocol/controller/fleet-request.ts';
import type { PastRates } from '../history/rates.ts';
import type { MaintenanceMode, PowerMode } from '../../protocol/public/hosts/managed-host.ts';
import type { GuestRunState } from '../../protocol/public/hosts/host.ts';
import { NO_LABELS, readLabels, type Labels } from '../../protocol/label-rules.ts';
import type { SiteLink } from '../site-map.ts';

/** A host as its agent reported it last. */
export interface HostFacts {
  readonly name: string;
  /** Where it stands; absent where its agent names no site. */
  readonly site?: string;
  /** Guests move between hosts of one realm alone; absent: among the hosts that have agents. */
  readonly realm?: string;
  /** Why no guest may come there now, as its manager says, or its own agent. */
  readonly closed?: string;
  /** How its manager takes it out of use; absent where it has no such mode for it. */
  readonly maintenanceMode?: MaintenanceMode;
  /** Who puts it to sleep and wakes it; absent where its manager sets the power of no host. */
  readonly powerMode?: PowerMode;
  /** Since when it is silent, ms since 1970; absent while it answers. */
  readonly silentSinceMs?: number;
  /** When its guests were looked at last, by the clock of the store. */
  readonly seenAtMs: number;
  readonly cores: number;
  readonly memoryBytes: number;
  /** What its kernel has left to give. */
  readonly availableBytes?: number;
  /** bytes/s */
  readonly linkBytesPerSecond?: number;
}

/** One host that has a guest. */
export interface Sighting {
  readonly host: string;
  readonly state: GuestRunState;
}

export interface GuestFacts {
  readonly name: string;
  /** Every host that says that it has it. */
  readonly at: readonly Sighting[];
  readonly memoryBytes: number;
  readonly vcpus: number;
  /** Processors that it used at the last samples, the newest first; empty where nobody knows. */
  readonly demand: readonly number[];
  readonly dirtyBytesPerSecond?: number;
  /** Of its disks, as its host sees them; absent where it sees none. */
  readonly diskBytes?: number;
  readonly unmovable: readonly string[];
  readonly manager?: string;
  /** A migration that moves it, whoever asked for that. */
  readonly migration?: string;
  /** The host to which that migration moves it. */
  readonly movingTo?: string;
  /** Hosts that run different guests of this name, where the name alone does not say which one is meant. */
  readonly rivals?: readonly string[];
}

/** Of a host that is put to sleep while no guest needs it. */
export type PowerState = 'falling-asleep' | 'asleep' | 'waking';

/** What a person or a policy said about a host. */
export interface HostMark {
  readonly host: string;
  /** The request that empties it, or emptied it; nothing is moved there. */
  readonly drainingFor?: string;
  /** That request starts its guests elsewhere, and is open. */
  readonly recovering?: true;
  readonly outLimit?: number;
  readonly inLimit?: number;
  readonly maintenance?: string;
  /** Absent while it is on. */
  readonly power?: PowerState;
}

/** Why no guest may come to a host: it is drained, a person noted that it needs care, it sleeps, or its manager says so. */
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

/** Room at a destination that is promised to a move, and counted until that move is settled. */
export interface Reservation {
  readonly move: string;
  readonly request: string;
  readonly guest: string;
  readonly host: string;
  /** The host that the guest leaves; absent once the move has ended and only its memory counts still. */
  readonly source?: string;
  readonly memoryBytes: number;
  /** When its move was settled, by the clock of the store: see `stillPromised`. */
  readonly givenBackAtMs?: number;
}

export interface Limits {
  /** Moves at a time out of one host, into one, and in all. */
  readonly outPerHost: number;
  readonly inPerHost: number;
  readonly fleet: number;
  /** By `a>b`. */
  readonly links: Readonly<Record<string, number>>;
}

export const DEFAULT_LIMITS: Limits = { outPerHost: 4, inPerHost: 4, fleet: 1000, links: {} };

/** Another request, as far as the turns of requests need it. */
export interface Other {
  readonly request: string;
  readonly priority: number;
  readonly running: number;
  /** Entries of its queue that wait for nothing but the limit of the whole fleet. */
  readonly waiting: number;
}

/** Hosts that can start a guest if its host dies, or the reason why a host refused to keep the data for that. */
export interface StandbyFacts {
  readonly hosts: readonly string[];
  readonly words?: string;
}

/** All that a decision rests on, read at one moment. */
export interface World {
  readonly nowMs: number;
  readonly hosts: ReadonlyMap<string, HostFacts>;
  /** By name; of different guests of one name all but one by a key that no name can be: see namesakes.ts. */
  readonly guests: ReadonlyMap<string, GuestFacts>;
  readonly marks: ReadonlyMap<string, HostMark>;
  readonly reservations: readonly Reservation[];
  readonly limits: Limits;
  /** What earlier migrations show of links and guests; absent where nothing was read. */
  readonly past?: PastRates;
  readonly others: readonly Other[];
  /** By the key of the guest. */
  readonly labels: ReadonlyMap<string, Readonly<Record<string, string>>>;
  /** Between sites, by the controller's configuration; none where absent. */
  readonly siteLinks?: readonly SiteLink[];
  /** By `HOST GUEST`; absent: nobody looked. */
  readonly standbys?: ReadonlyMap<string, StandbyFacts>;
  /** What the moves of this request have sent: as their hosts reported it, or as it was predicted while nobody did; bytes. */
  readonly spentBytes?: number;
}

export const labelsOf = ({ labels }: World, guest: string): Labels | { words: string } => {
  const given = labels.get(guest);
  return given === undefined ? NO_LABELS : readLabels(given);
};

/** Of its labels; 0 where they say nothing, or cannot be read. */
export function priorityOf(world: World, guest: string): number {
  const labels = labelsOf(world, guest);
  return 'words' in labels ? 0 : (labels.priority ?? 0);
}

/** Own properties only: a guest may have the name of an inherited property, such as `constructor`. */
export const ownOf = <T>(record: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined;

/** How long before the move its owner is notified, ms: as long as the request or its owner asks. */
export function noticeMsOf(
  guest: string,
  { ask }: Pick<FleetRequest, 'ask'>,
  world: World,
): number {
  const labels = labelsOf(world, guest);
  const labelled = 'words' in labels ? 0 : (labels.noticeMs ?? 0);
  return Math.max(labelled, ask.settings.noticeMs ?? 0);
}

/** Whether it is shut down and started where it goes: it cannot move live, and that was asked for. */
export function goesCold(guest: string, { ask }: Pick<FleetRequest, 'ask'>, world: World): boolean {
  const labels = labelsOf(world, guest);
  if ('unplug' in labels) return false;
  return ask.cold === true && (world.guests.get(guest)?.unmovable.length ?? 0) > 0;
}

/** Where it is, as opposed to where it is about to come. */
export const homesOf = ({ at }: GuestFacts): readonly Sighting[] =>
  at.filter(({ state }) => state !== 'incoming');

/** Where it may run. */
export const runsOf = (guest: GuestFacts): readonly Sighting[] =>
  homesOf(guest).filter(({ state }) => state !== 'stopped');

export const isAt = (guest: GuestFacts | undefined, host: string): boolean =>
  guest !== undefined && homesOf(guest).some((each) => each.host === host);

interface OnHost {
  /** Of guests that the host has, or that are on their way in and are listed there. */
  bytes: number;
  readonly guests: string[];
  /** Keys of guests that a migration moves there, and that the host does not list yet. */
  readonly coming: string[];
}

const indexes = new WeakMap<World['guests'], ReadonlyMap<string, OnHost>>();

/** Made once for each look at the fleet. */
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

/** Keys of guests that the host has, or that are on their way in and are listed there. */
export const guestsAt = ({ guests }: World, host: string): readonly string[] =>
  indexOf(guests).get(host)?.guests ?? [];

/** Keys of guests that a migration moves to the host, whoever asked for it, and that the host does not list yet. */
export const broughtTo = ({ guests }: World, host: string): readonly string[] =>
  indexOf(guests).get(host)?.coming ?? [];
