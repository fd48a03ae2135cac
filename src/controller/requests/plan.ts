import { drain, type RunningMove } from '../../planner/drain/drain.ts';
import { throughWords } from '../../planner/drain/drain-times.ts';
import type { Inventory, PlannedMove, PlannerGuest, PlannerHost } from '../../planner/inventory.ts';
import { defined } from '../../protocol/defined.ts';
import { NO_RATES } from '../history/rates.ts';
import { trunksOf } from '../site-map.ts';
import { aimOf, emptiedBy } from './aim.ts';
import {
  goesCold,
  guestBytes,
  homesOf,
  labelsOf,
  ownOf,
  whyClosed,
  type GuestFacts,
  type World,
} from './facts.ts';
import { promisedBytes, roomBytes } from './room.ts';
import { byDeadline, type PlannedLine } from './evacuation.ts';
import { isRecovery, planRecovery } from './recover.ts';
import type { Move, PlannedStep, FleetRequest } from '../../protocol/controller/fleet-request.ts';

/** Assumed use of a guest with unknown load, as a share of its virtual processors. */
const UNKNOWN_SHARE = 0.25;

export interface FleetRequestPlan {
  readonly steps: readonly PlannedStep[];
  readonly parallel: number;
  /** Predicted seconds until the last move ends. */
  readonly seconds: number;
  /** Guests predicted to miss the deadline. */
  readonly late: readonly string[];
  /** The bottleneck, in words; absent if nothing moves. */
  readonly through?: string;
  readonly refused: ReadonlyMap<string, string>;
  /** Parts of the prediction that come from earlier migrations instead of live samples. */
  readonly fromHistory: readonly string[];
  readonly line?: PlannedLine;
}

export function planFor(
  request: FleetRequest,
  guests: readonly string[],
  world: World,
  open: readonly Move[] = [],
): FleetRequestPlan {
  const { ask } = request;
  if (isRecovery(request)) {
    const { steps, refused } = planRecovery(request, guests, world);
    const seconds = Math.max(0, ...steps.map((each) => each.seconds));
    return { steps, refused, seconds, parallel: world.limits.fleet, late: [], fromHistory: [] };
  }
  const wanted = new Set(guests);
  const hosts = new Set(
    guests.flatMap((name) => homesOf(world.guests.get(name) ?? NOBODY).map(({ host }) => host)),
  );
  const running = open.filter(({ guest }) => !wanted.has(guest));
  const inventory = inventoryOf(request, { wanted, running }, world);
  const plan = drain(inventory, {
    hosts: [...hosts],
    running: running.map((each) => runningMove(each, world)),
    others: world.reservations.flatMap(({ request: other, source: from, host: to, memoryBytes }) =>
      other === request.id || from === undefined ? [] : [{ from, to, bytes: memoryBytes }],
    ),
    parallel: ask.maxParallel ?? world.limits.fleet,
    pairs: (world.past ?? NO_RATES).pairs,
    perHost: Math.max(world.limits.outPerHost, world.limits.inPerHost),
    trunks: trunksOf(world.siteLinks),
    ...(ask.deadlineAtMs === undefined
      ? {}
      : { deadlineSeconds: Math.max(0, (ask.deadlineAtMs - world.nowMs) / 1000) }),
  });
  const moves = plan.moves.filter(({ guest }) => wanted.has(guest));
  const planned: FleetRequestPlan = {
    steps: moves.map(({ guest, to, cost }) => ({
      guest,
      to,
      seconds: cost.seconds,
      ...(goesCold(guest, request, world) ? { how: 'cold' as const } : {}),
    })),
    parallel: plan.parallel,
    seconds: plan.seconds,
    late: plan.late,
    ...(plan.busiest === undefined ? {} : { through: throughWords(plan.busiest) }),
    refused: new Map(
      plan.refusals.flatMap(({ guest, words }) =>
        guest !== undefined && wanted.has(guest) ? [[guest, words] as const] : [],
      ),
    ),
    fromHistory: fromHistory(moves, world),
  };
  if (ask.sites === undefined) return planned;
  return { ...planned, ...byDeadline(planned, { request, inventory, world, open }) };
}

function fromHistory(moves: readonly PlannedMove[], { past, guests, hosts }: World): string[] {
  if (past === undefined) return [];
  const dirty = moves.filter(
    ({ guest }) => guests.get(guest)?.dirtyBytesPerSecond === undefined && past.dirty.has(guest),
  );
  const isReported = (name: string): boolean =>
    hosts.get(name)?.linkBytesPerSecond === undefined && past.links.has(name);
  const learned = new Set(
    moves
      .filter(
        ({ from, to }) => past.pairs.has(`${from}>${to}`) || isReported(from) || isReported(to),
      )
      .map(({ from, to }) => `${from}>${to}`),
  );
  const links = new Set(moves.map(({ from, to }) => `${from}>${to}`));
  return [
    ...(dirty.length === 0 ? [] : [`what ${dirty.length} of ${moves.length} guests write`]),
    ...(learned.size === 0 ? [] : [`what ${learned.size} of ${links.size} links carry`]),
  ];
}

const NOBODY: Pick<GuestFacts, 'at'> & GuestFacts = {
  name: '',
  at: [],
  memoryBytes: 0,
  vcpus: 0,
  demand: [],
  unmovable: [],
};

/** Progress is not queried but estimated from its own predicted time. */
function runningMove(
  { guest, to, createdAtMs, seconds, memoryBytes }: Move,
  { nowMs }: World,
): RunningMove {
  const elapsedSeconds = Math.max(0, (nowMs - createdAtMs) / 1000);
  if (seconds === 0) return { guest, to, elapsedSeconds };
  const left = Math.max(0, 1 - elapsedSeconds / seconds);
  return { guest, to, elapsedSeconds, leftBytes: Math.round(memoryBytes * left) };
}

function inventoryOf(
  request: FleetRequest,
  { wanted, running }: { readonly wanted: ReadonlySet<string>; readonly running: readonly Move[] },
  world: World,
): Inventory {
  const emptied = new Set(emptiedBy(request, world));
  // The planner places running moves itself, so their room counts once.
  const ids = new Set(running.map(({ id }) => id));
  const comes = world.reservations.filter(({ move }) => ids.has(move));
  const past = world.past ?? NO_RATES;
  const hosts = [...world.hosts.values()].map((host): PlannerHost => {
    const linkBytesPerSecond = host.linkBytesPerSecond ?? past.links.get(host.name);
    const marked = whyClosed(world, host.name) !== undefined;
    return {
      name: host.name,
      cpu: host.cores,
      coreCpu: 1,
      // Capacity promised to others is not available.
      memoryBytes:
        guestBytes(world, host.name) +
        roomBytes(world, host.name) +
        promisedBytes({ ...world, reservations: comes }, host.name),
      on: true,
      ...(host.silentSinceMs === undefined ? {} : { silent: true }),
      ...defined({ site: host.site, realm: host.realm }),
      ...(marked || emptied.has(host.name) ? { draining: true } : {}),
      ...defined({ linkBytesPerSecond }),
    };
  });
  const guests = [...world.guests].flatMap(([key, facts]): PlannerGuest[] => {
    const [home] = homesOf(facts);
    if (home === undefined) return [];
    return [plannerGuest({ ...facts, name: key }, home.host, request, { wanted, world })];
  });
  return { hosts, guests };
}

function plannerGuest(
  facts: GuestFacts,
  host: string,
  request: FleetRequest,
  { wanted, world }: { readonly wanted: ReadonlySet<string>; readonly world: World },
): PlannerGuest {
  const { name, memoryBytes, vcpus, demand } = facts;
  const dirtyBytesPerSecond = facts.dirtyBytesPerSecond ?? world.past?.dirty.get(name);
  const labels = labelsOf(world, name);
  const group = 'words' in labels ? undefined : labels.antiAffinity;
  const isWanted = wanted.has(name);
  const allowed = isWanted ? destinationsFor(request, name, world) : undefined;
  return {
    name,
    host,
    memoryBytes,
    cpu: vcpus,
    demand: demand.length > 0 ? demand : [vcpus * UNKNOWN_SHARE],
    ...defined({ dirtyBytesPerSecond }),
    ...(isWanted ? {} : { neverMove: true }),
    ...defined({ pinnedTo: allowed }),
    ...(isWanted && namedFor(request, world) !== undefined ? { mayChangeSite: true } : {}),
    ...(group === undefined ? {} : { apart: [group] }),
    ...('words' in labels || labels.priority === undefined ? {} : { priority: labels.priority }),
  };
}

function namedFor(request: FleetRequest, world: World): readonly string[] | undefined {
  const aim = aimOf(request, world);
  return aim.kind === 'bring' ? aim.to : request.ask.to;
}

/** Possible destinations, those without a failed attempt first; undefined: anywhere. */
function destinationsFor(request: FleetRequest, guest: string, world: World): string[] | undefined {
  const failed = ownOf(request.tries, guest)?.at ?? [];
  const named = namedFor(request, world);
  if (named === undefined && failed.length === 0) return undefined;
  const all = named ?? [...world.hosts.keys()];
  const fresh = all.filter((host) => !failed.includes(host) && isOpenTo(world, request, host));
  return fresh.length > 0 ? fresh : [...all];
}

const isOpenTo = (world: World, request: FleetRequest, host: string): boolean =>
  world.hosts.get(host)?.silentSinceMs === undefined &&
  whyClosed(world, host) === undefined &&
  !emptiedBy(request, world).includes(host);
