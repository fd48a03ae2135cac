import type { Inventory, PlannerGuest, PlannerHost } from '../../planner/inventory.ts';
import { defined } from '../../protocol/defined.ts';
import { whyItNeverMoves, whyItWaits } from '../requests/candidates.ts';
import {
  homesOf,
  labelsOf,
  whyClosed,
  type GuestFacts,
  type HostFacts,
  type World,
} from '../requests/facts.ts';
import { roomBytes } from '../requests/room.ts';
import { untilWindowMs } from '../../protocol/label-rules.ts';
import type { PolicyKind } from '../../protocol/controller/policy.ts';
import { mostCoresOf } from '../../planner/processor-use-bounds.ts';
import { whyLeftToManager } from './left-to-managers.ts';
import type { Loads } from './loads.ts';

export interface PastMove {
  readonly guest: string;
  readonly from: string;
  readonly endedAtMs: number;
}

export interface PolicyFacts {
  /** Absent for plans that move no running guests: a host without samples can still take a new guest. */
  readonly kind?: PolicyKind;
  readonly world: World;
  readonly loads: Loads;
  /** Expected cores per guest in the next hour, by earlier days. */
  readonly usual: ReadonlyMap<string, number>;
  readonly past: readonly PastMove[];
  /** Guests that a request is to move, with the destination; '' if there may be several. */
  readonly asked: ReadonlyMap<string, string>;
  readonly isOurs: (host: string) => boolean;
  /** Guests and hosts whose proposals an operator rejected or snoozed. */
  readonly mutedGuests: ReadonlySet<string>;
  readonly mutedHosts: ReadonlySet<string>;
}

/** Largest share that other load than guests takes of a host's size. */
const MAX_OTHER = 0.9;
/** Waiting tasks count as contention only above this load, since the kernel reports some on any host. */
const BUSY = 0.8;
const LOOKS_OF_PRESSURE = 3;
/** Extra demand of a host whose tasks always wait. */
const WAITING = 0.2;

/** Entries with unknown facts are left out and never move. */
export function inventoryFor(known: PolicyFacts): Inventory {
  const { world, isOurs } = known;
  const hosts = [...world.hosts.values()].filter(({ name }) => isOurs(name));
  const reserved = new Map(world.reservations.map(({ guest, host }) => [guest, host]));
  const guests = [...world.guests].flatMap(([key, own]): GuestPlacement[] => {
    // A namesake is not requested under its key: it waits, and counts where it is.
    const facts = key === own.name ? own : { ...own, name: key, rivals: [] };
    const [home] = homesOf(facts);
    if (home === undefined || !isOurs(home.host)) return [];
    return [{ facts, host: home.host, ...goalOf(facts, home.host, known, reserved) }];
  });
  const unreported = Map.groupBy(
    guests.filter(({ facts }) => isUnreported(facts, known.loads)),
    ({ host }) => host,
  );
  const held = heldBytes(guests);
  const past = Map.groupBy(known.past, ({ guest }) => guest);
  return {
    hosts: hosts.map((host) => {
      const memoryBytes = (held.get(host.name) ?? 0) + roomBytes(world, host.name);
      return plannerHost(host, known, { memoryBytes, hasUnreported: unreported.has(host.name) });
    }),
    guests: guests.map((sited) => {
      const { facts, host } = sited;
      const beside = unreported.get(host)?.map((each) => each.facts) ?? [];
      const left = past.get(facts.name) ?? [];
      return plannerGuest({ ...sited, beside, left }, known);
    }),
  };
}

interface GuestPlacement {
  readonly facts: GuestFacts;
  readonly host: string;
  readonly goal?: string;
  /** Its memory is no longer part of the destination's room. */
  readonly isPromised?: boolean;
}

/** The destination of its running or requested move; its present host if the destination cannot admit it now. */
function goalOf(
  { name, at }: GuestFacts,
  home: string,
  { world, asked }: PolicyFacts,
  reserved: ReadonlyMap<string, string>,
): Pick<GuestPlacement, 'goal' | 'isPromised'> {
  const incoming = at.filter(({ state }) => state === 'incoming');
  const promised = reserved.get(name) ?? (incoming.length === 1 ? incoming[0]?.host : undefined);
  const goal = promised ?? asked.get(name);
  if (goal === undefined || goal === home) return {};
  if (promised !== undefined) return { goal, isPromised: true };
  const host = world.hosts.get(goal);
  const isOpen = host !== undefined && host.silentSinceMs === undefined;
  return isOpen && whyClosed(world, goal) === undefined ? { goal } : {};
}

/** bytes per host of its guests and promised guests that are not part of its room. */
function heldBytes(guests: readonly GuestPlacement[]): ReadonlyMap<string, number> {
  const held = new Map<string, number>();
  for (const { facts, host, goal, isPromised } of guests) {
    for (const at of isPromised === true && goal !== undefined ? [host, goal] : [host])
      held.set(at, (held.get(at) ?? 0) + facts.memoryBytes);
  }
  return held;
}

const isUnreported = (facts: GuestFacts, loads: Loads): boolean =>
  homesOf(facts).every(({ state }) => state !== 'stopped') && loads.guest(facts.name).length === 0;

function plannerHost(
  facts: HostFacts,
  { kind, world, loads, mutedHosts }: PolicyFacts,
  { memoryBytes, hasUnreported }: { readonly memoryBytes: number; readonly hasUnreported: boolean },
): PlannerHost {
  const { name, cores } = facts;
  const mark = world.marks.get(name);
  const isOn = mark?.power === undefined || mark.power === 'waking';
  const isShut =
    (mark?.drainingFor ?? mark?.maintenance) !== undefined || facts.closed !== undefined;
  const isLeft = kind !== undefined && whyLeftToManager(facts, kind) !== undefined;
  const looks = loads.host(name);
  // Other load's processor time is not available to guests. With unreported guests, their use is part of it.
  const others = hasUnreported
    ? []
    : looks.map(({ look, guestCores }) => look.used * look.cores - guestCores);
  const other = Math.min(Math.max(0, meanOf(others)), cores * MAX_OTHER);
  const pressure = looks
    .slice(0, LOOKS_OF_PRESSURE)
    .map(({ look }) => (look.used >= BUSY ? look.pressure * WAITING : 0));
  return {
    name,
    cpu: Math.max(cores - other, Number.EPSILON),
    coreCpu: 1,
    memoryBytes,
    on: isOn,
    ...defined({ site: facts.site }),
    ...(mark?.power === undefined && isUnheard(facts, { kind, loads }) ? { silent: true } : {}),
    ...(isShut ? { draining: true } : {}),
    ...defined({ realm: facts.realm, linkBytesPerSecond: facts.linkBytesPerSecond }),
    ...(pressure.length === 0 ? {} : { pressure }),
    ...(mutedHosts.has(name) || isLeft ? { kept: true } : {}),
  };
}

interface Standing extends GuestPlacement {
  readonly beside: readonly GuestFacts[];
  readonly left: readonly PastMove[];
}

function plannerGuest(
  { facts, host, goal, beside, left }: Standing,
  known: PolicyFacts,
): PlannerGuest {
  const { world, loads, usual } = known;
  const { name, memoryBytes, vcpus } = facts;
  const reported = loads.guest(name);
  const isReckoned = beside.includes(facts);
  const demand = isReckoned ? shareOfRest(facts, host, beside, loads) : reported;
  const isStopped = homesOf(facts).some(({ state }) => state === 'stopped');
  const cpu = vcpus > 0 ? vcpus : Math.max(1, Math.ceil(Math.max(0, ...demand)));
  const soon = usual.get(name);
  const labels = labelsOf(world, name);
  const group = 'words' in labels ? undefined : labels.antiAffinity;
  const whyNever = whyItStays({ facts, host }, labels, known);
  return {
    name,
    host,
    memoryBytes,
    cpu,
    demand: isStopped ? [0] : demand.map((cores) => ofItsSize(cores, cpu)),
    ...(soon === undefined || isStopped ? {} : { soon: ofItsSize(soon, cpu) }),
    ...defined({ dirtyBytesPerSecond: facts.dirtyBytesPerSecond }),
    ...(whyNever === undefined ? {} : { neverMove: true, whyNever }),
    ...(isReckoned ? { reckoned: true } : {}),
    ...defined({ movingTo: goal }),
    ...(goal === undefined && whyItWaits(facts, world) === undefined ? {} : { moving: true }),
    ...(group === undefined ? {} : { apart: [group] }),
    ...(left.length === 0
      ? {}
      : {
          left: left.map(({ from, endedAtMs }) => {
            return { host: from, secondsAgo: Math.max(0, world.nowMs - endedAtMs) / 1000 };
          }),
        }),
  };
}

function whyItStays(
  { facts, host }: Pick<GuestPlacement, 'facts' | 'host'>,
  labels: ReturnType<typeof labelsOf>,
  { kind, world, asked, mutedGuests }: PolicyFacts,
): string | undefined {
  const at = world.hosts.get(host);
  const isJudged = at !== undefined && kind !== undefined;
  const why = whyItNeverMoves(facts, world) ?? (isJudged ? whyLeftToManager(at, kind) : undefined);
  if (why !== undefined) return why;
  if (mutedGuests.has(facts.name)) return 'somebody rejected its move, or put it off';
  if (asked.has(facts.name)) return 'it was asked to move already';
  if (facts.memoryBytes === 0) return 'nobody says how much memory it has';
  return isOutOfWindow(labels, world.nowMs) ? 'its label godwit/window forbids it now' : undefined;
}

/** The host is silent, or its load is unknown, so a move would rest on a guess. */
const isUnheard = (
  { name, silentSinceMs }: HostFacts,
  { kind, loads }: { readonly kind: PolicyKind | undefined; readonly loads: Loads },
): boolean =>
  silentSinceMs !== undefined || (kind !== undefined && loads.newest(name) === undefined);

const isOutOfWindow = (labels: ReturnType<typeof labelsOf>, nowMs: number): boolean =>
  !('words' in labels) && labels.window !== undefined && untilWindowMs(labels.window, nowMs) > 0;

/** A share of its host's unexplained load, by the sizes of the unreported guests. */
function shareOfRest(
  { vcpus }: GuestFacts,
  host: string,
  beside: readonly GuestFacts[],
  loads: Loads,
): number[] {
  const all = beside.reduce((sum, each) => sum + Math.max(1, each.vcpus), 0);
  return loads.host(host).map(({ look, guestCores }) => {
    const rest = Math.max(0, look.used * look.cores - guestCores);
    return Math.min(Math.max(1, vcpus), (rest * Math.max(1, vcpus)) / all);
  });
}

const ofItsSize = (cores: number, cpu: number): number =>
  cores > cpu && cores <= mostCoresOf(cpu) ? cpu : cores;

const meanOf = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, each) => sum + each, 0) / values.length;
