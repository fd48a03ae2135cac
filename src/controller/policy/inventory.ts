import type { Inventory, PlannerGuest, PlannerHost } from '../../planner/inventory.ts';
import { whyItNeverMoves, whyItWaits } from '../wishes/candidates.ts';
import { guestBytes, homesOf, labelsOf, roomBytes } from '../wishes/facts.ts';
import type { GuestFacts, HostFacts, World } from '../wishes/facts.ts';
import { untilWindowMs } from '../../protocol/label-rules.ts';
import type { Loads } from './loads.ts';

/** A move of the last day. */
export interface PastMove {
  readonly guest: string;
  readonly from: string;
  readonly endedAtMs: number;
}

export interface Known {
  readonly world: World;
  readonly loads: Loads;
  /** What guests use in the hour to come, cores, by earlier days. */
  readonly usual: ReadonlyMap<string, number>;
  readonly past: readonly PastMove[];
  /** The hosts that the policy is for. */
  readonly isOurs: (host: string) => boolean;
  /** Guests and hosts whose like a person rejected or put off. */
  readonly mutedGuests: ReadonlySet<string>;
  readonly mutedHosts: ReadonlySet<string>;
}

/** What others than guests use is at most so much of a host; a host never counts as smaller. */
const MOST_OTHER = 0.9;
/** A kernel reports that tasks wait on any host; it is contention once the processors are about this busy. */
const BUSY = 0.8;
/** A hypervisor's own threads come on top of its guest's processors. */
const OWN_THREADS = 1;
const LOOKS_OF_PRESSURE = 3;
/** A host on which some task always waits is taken to be asked for a quarter more than it has: that one waits is not that all do. */
const WAITING = 0.2;

/** The hosts of a policy with their guests, as the planner takes them. What is not known is left out, and never moves. */
export function inventoryFor(known: Known): Inventory {
  const { world, isOurs } = known;
  const hosts = [...world.hosts.values()].filter(({ name }) => isOurs(name));
  const guests = [...world.guests].flatMap(([key, own]): { facts: GuestFacts; host: string }[] => {
    // Nobody asks for one that its name does not mean: it waits, and is counted where it is.
    const facts = key === own.name ? own : { ...own, name: key, rivals: [] };
    const [home] = homesOf(facts);
    return home === undefined || !isOurs(home.host) ? [] : [{ facts, host: home.host }];
  });
  const unreported = Map.groupBy(
    guests.filter(({ facts }) => isUnreported(facts, known.loads)),
    ({ host }) => host,
  );
  const past = Map.groupBy(known.past, ({ guest }) => guest);
  return {
    hosts: hosts.map((host) => plannerHost(host, known, unreported.has(host.name))),
    guests: guests.map(({ facts, host }) => {
      const beside = unreported.get(host)?.map((each) => each.facts) ?? [];
      const left = past.get(facts.name) ?? [];
      return plannerGuest({ facts, host, beside, left }, known);
    }),
  };
}

/** It runs, and nobody reported what it uses. */
const isUnreported = (facts: GuestFacts, loads: Loads): boolean =>
  homesOf(facts).every(({ state }) => state !== 'stopped') && loads.guest(facts.name).length === 0;

function plannerHost(
  facts: HostFacts,
  { world, loads, mutedHosts }: Known,
  hasUnreported: boolean,
): PlannerHost {
  const { name, cores } = facts;
  const mark = world.marks.get(name);
  // One that sleeps can be woken, and one that wakes is as good as there: neither has failed, and neither is closed.
  const isOn = mark?.power === undefined || mark.power === 'waking';
  const isShut =
    (mark?.drainingFor ?? mark?.maintenance) !== undefined || facts.closed !== undefined;
  const looks = loads.host(name);
  // Processor time that others than guests use is not available to guests. Where a guest is unreported, what it uses is
  // part of that.
  const others = hasUnreported
    ? []
    : looks.map(({ look, guestCores }) => look.used * look.cores - guestCores);
  const other = Math.min(Math.max(0, meanOf(others)), cores * MOST_OTHER);
  const pressure = looks
    .slice(0, LOOKS_OF_PRESSURE)
    .map(({ look }) => (look.used >= BUSY ? look.pressure * WAITING : 0));
  return {
    name,
    cpu: Math.max(cores - other, Number.EPSILON),
    coreCpu: 1,
    memoryBytes: guestBytes(world, name) + roomBytes(world, name),
    on: isOn,
    ...(facts.site === undefined ? {} : { site: facts.site }),
    ...(facts.silentSinceMs === undefined || mark?.power !== undefined ? {} : { silent: true }),
    ...(isShut ? { draining: true } : {}),
    ...(facts.realm === undefined ? {} : { realm: facts.realm }),
    ...(facts.linkBytesPerSecond === undefined
      ? {}
      : { linkBytesPerSecond: facts.linkBytesPerSecond }),
    ...(pressure.length === 0 ? {} : { pressure }),
    ...(mutedHosts.has(name) ? { kept: true } : {}),
  };
}

interface Standing {
  readonly facts: GuestFacts;
  readonly host: string;
  /** Guests of its host that are unreported, itself among them where it is one. */
  readonly beside: readonly GuestFacts[];
  readonly left: readonly PastMove[];
}

function plannerGuest({ facts, host, beside, left }: Standing, known: Known): PlannerGuest {
  const { world, loads, usual, mutedGuests } = known;
  const { name, memoryBytes, vcpus } = facts;
  const reported = loads.guest(name);
  const demand = beside.includes(facts) ? shareOfRest(facts, host, beside, loads) : reported;
  const isStopped = homesOf(facts).some(({ state }) => state === 'stopped');
  const cpu = vcpus > 0 ? vcpus : Math.max(1, Math.ceil(Math.max(0, ...demand)));
  const soon = usual.get(name);
  const labels = labelsOf(world, name);
  const group = 'words' in labels ? undefined : labels.antiAffinity;
  const stays =
    whyItNeverMoves(facts, world) !== undefined ||
    isBalancedElsewhere(host, world) ||
    mutedGuests.has(name) ||
    beside.includes(facts) ||
    memoryBytes === 0 ||
    isOutOfWindow(labels, world.nowMs);
  return {
    name,
    host,
    memoryBytes,
    cpu,
    demand: isStopped ? [0] : demand.map((cores) => ofItsSize(cores, cpu)),
    ...(soon === undefined || isStopped ? {} : { soon: ofItsSize(soon, cpu) }),
    ...(facts.dirtyBytesPerSecond === undefined
      ? {}
      : { dirtyBytesPerSecond: facts.dirtyBytesPerSecond }),
    ...(stays ? { neverMove: true } : {}),
    ...(whyItWaits(facts, world) === undefined ? {} : { moving: true }),
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

/** A manager that moves guests there by itself, such as DRS, balances them too: two would move them to and fro. */
const isBalancedElsewhere = (host: string, { hosts }: World): boolean =>
  hosts.get(host)?.maintenanceMode?.moves === 'manager';

const isOutOfWindow = (labels: ReturnType<typeof labelsOf>, nowMs: number): boolean =>
  !('words' in labels) && labels.window !== undefined && untilWindowMs(labels.window, nowMs) > 0;

/** What nobody else on its host is known to use, by the sizes of those of whom nothing is known. */
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
  cores > cpu && cores <= cpu * 2 + OWN_THREADS ? cpu : cores;

const meanOf = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, each) => sum + each, 0) / values.length;
