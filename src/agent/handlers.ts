import type { Clock } from '../clock.ts';
import type { AgentConfig } from '../config.ts';
import { publicContract, type agentContract } from '../protocol/contract.ts';
import { defined } from '../protocol/defined.ts';
import type { arrivalRoutes } from '../protocol/peer/arrival.ts';
import type { Admission, AdmissionGrant } from '../protocol/peer/migration.ts';
import type { probeRoutes } from '../protocol/peer/probe.ts';
import type { HostInfo } from '../protocol/public/hosts/host.ts';
import type { MigrationRequest } from '../protocol/public/migration.ts';
import type { Trust } from '../protocol/public/trust.ts';
import { openApi } from '../protocol/public/openapi.ts';
import type { cacheRoutes } from '../protocol/public/cache.ts';
import type { ClearedList } from '../protocol/public/leftover.ts';
import { PRODUCT_VERSION, PROTOCOL_VERSIONS } from '../protocol/version.ts';
import type { Caller } from '../rpc/caller.ts';
import type { Handlers } from '../rpc/server.ts';
import { arrivalSeen } from './migrations/arrivals.ts';
import type { HostCache } from './host/cache.ts';
import type { ClosingDependencies } from './host/closing.ts';
import type { DiskMoves } from './migrations/disk-moves.ts';
import type { Follow } from './migrations/follow.ts';
import { loadAtSource, loadHandler, type LoadHandlerDependencies } from './guests/guest-loads.ts';
import type { HostEvents } from './host/host-events.ts';
import { checkSender, type Incoming } from './migrations/incoming.ts';
import type { HostInventory } from './host/inventory.ts';
import { orderFor, type Orders } from './migrations/orders.ts';
import type { Outgoing } from './migrations/outgoing.ts';
import { fleetHandlers, type FleetHandlerDependencies } from './pki/handlers.ts';
import type { Peers } from './peers.ts';
import type { LinkAnswers } from './prediction/link-answers.ts';
import type { Plans } from './prediction/plans.ts';
import { checkHandlers, type CheckHandlerDependencies } from './preflight/handlers.ts';
import type { ExpectedArrivals } from './expected-arrivals.ts';
import { listHandlers } from './guests/lists.ts';
import { processorHandlers } from './host/processors.ts';
import { recoveryHandlers, type RecoveryHandlerDependencies } from './recovery/handlers.ts';
import type { Load } from './host/load.ts';
import type { Leftovers } from './leftovers/leftovers.ts';
import type { Reload } from './reload.ts';
import { reportWithCheck } from './migrations/reports.ts';
import { cancelOrKeep, endSiteCheck, returnsSeen } from './migrations/return-handlers.ts';
import type { Returns } from './migrations/returns.ts';
import type { Resolve } from './resolve/resolve.ts';
import { sightingOf } from './guests/sightings.ts';
import type { Sides } from './migrations/sides.ts';
import type { MigrationStore } from './migrations/store.ts';
import type { AfterMove } from './migrations/after-move.ts';
import type { GuestProbes } from './host/probes.ts';
import type { Log } from '../log.ts';
import type { diskMoveRoutes } from '../protocol/public/disk-move-routes.ts';
import type { DiskMoveProgress } from '../protocol/public/disk-move.ts';
import { pageOf } from '../protocol/public/page.ts';
import type { HostLabels } from './guests/guest-labels.ts';
import { namesIn } from './guests/guest-snapshot.ts';
import type { Guests } from './guests/guests.ts';

export interface AgentHandlerDependencies
  extends
    CheckHandlerDependencies,
    FleetHandlerDependencies,
    LabelHandlerDependencies,
    LoadHandlerDependencies,
    RecoveryHandlerDependencies,
    Pick<ClosingDependencies, 'closings'> {
  readonly expected: ExpectedArrivals;
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly store: MigrationStore;
  readonly inventory: HostInventory;
  readonly peers: Peers;
  readonly orders: Orders;
  readonly outgoing: Outgoing;
  readonly incoming: Incoming;
  readonly follow: Follow;
  readonly returns: Returns;
  readonly afterMove: AfterMove;
  readonly plans: Plans;
  readonly linkAnswers: LinkAnswers;
  readonly sides: Sides;
  readonly resolve: Resolve;
  readonly leftovers: Leftovers;
  readonly cache: HostCache;
  readonly probes: GuestProbes;
  readonly diskMoves: DiskMoves;
  readonly hostEvents: HostEvents;
  readonly load: Load;
  readonly trust: () => Trust;
  readonly reload: Reload;
}

export function agentHandlers(deps: AgentHandlerDependencies): Handlers<typeof agentContract> {
  const { config, log, guests, outgoing, incoming, follow } = deps;
  return {
    hello: () => ({
      name: config.name,
      product: `godwit ${PRODUCT_VERSION}`,
      versions: [...PROTOCOL_VERSIONS],
    }),
    health: () => ({ ok: true }),
    openapi: () => openApi(publicContract, 'Godwit agent'),
    host: () => hostInfo(deps),
    trust: () => deps.trust(),
    reload: async ({ query, caller }) => {
      log.info({ by: caller.name }, 'configuration reload requested');
      return deps.reload.read({ dryRun: query.dryRun === 'true' });
    },
    ...listHandlers(deps, () => hostInfo(deps)),
    guest: async ({ params }) => (await guests.shown(params.guest)).info,
    ...loadHandler(deps),
    ...labelHandler(deps),
    hostEvents: ({ query, lastEventId, signal }) => {
      const { hostEvents, load } = deps;
      const after = lastEventId ?? query.after;
      if (query.load !== 'true') return hostEvents.follow(after, signal);
      return hostEvents.followWithLoad(after, signal, load);
    },
    migrate: async ({ body, caller }) => {
      const id = await outgoing.start(body);
      const { guest, to, mode } = body;
      log.info({ id, guest, to, mode, by: caller.name }, 'migration started');
      return { id };
    },
    putMigration: async ({ params: { id }, query, body, caller, signal }) => {
      const order = orderFor(query, caller, config.ordersBySocket);
      if (query.dryRun === 'true') return dryRun(deps, id, body, signal);
      await deps.orders.under(order, id, () =>
        outgoing.start({ ...body, id }, undefined, order?.request),
      );
      const { guest, to, mode } = body;
      log.info({ id, guest, to, mode, by: caller.name }, 'migration started');
      return { id, started: true };
    },
    migration: ({ params }) => follow.one(params.id),
    progress: ({ params }) => follow.progress(params.id),
    events: ({ params, signal }) => follow.events(params.id, signal),
    report: ({ params }) => reportWithCheck(deps, params.id),
    cancel: async ({ params, query, caller }) => {
      const order = orderFor(query, caller, config.ordersBySocket);
      const named = [order?.request, query.request];
      const answer = await deps.orders.under(order, params.id, () =>
        cancelOrKeep(deps, params.id, named, caller.name),
      );
      log.info({ id: params.id, by: caller.name, ...answer }, 'cancel requested');
      return answer;
    },
    admit: ({ body, caller }) => admitted(deps, body, caller),
    incoming: ({ params, caller }) => incoming.where(params.id, caller),
    ...checkHandlers(deps),
    ...recoveryHandlers(deps),
    ...processorHandlers(deps),
    plan: ({ body, signal }) => deps.plans.answer(body, signal),
    linkProbe: ({ body, caller }) => deps.linkAnswers.answer(body, caller),
    ...resolveHandlers(deps),
    ...leftoverHandlers(deps),
    ...cacheHandlers(deps),
    ...probeHandlers(deps),
    ...diskMoveHandlers(deps),
    ...fleetHandlers(deps),
  };
}

async function admitted(
  { probes, incoming, guestLoads, peers }: AgentHandlerDependencies,
  admission: Admission,
  caller: Caller,
): Promise<AdmissionGrant> {
  const { id, guest } = admission;
  const answer = await probes.comesHere(admission, incoming.admit(admission, caller));
  // The source keeps the loads while it has the guest, so the admission need not wait for them.
  void guestLoads.expect(id, guest, () => loadAtSource(peers, admission));
  return answer;
}

type ProbeRoutes = Pick<
  typeof agentContract,
  keyof typeof probeRoutes | keyof typeof arrivalRoutes
>;

function probeHandlers(deps: AgentHandlerDependencies): Handlers<ProbeRoutes> {
  const { guests, incoming, probes, expected } = deps;
  const addressesOf = (guest: string) => probes.addressesOf(guest);
  const looking = { ...deps, drivers: guests.drivers, addressesOf };
  return {
    watch: ({ body, caller }) => probes.watch(body, caller),
    admittedGuest: ({ params }) => incoming.guest(params.id),
    endWatch: ({ params, body, caller }) => probes.end(params.id, body, caller),
    laterWatch: ({ params, caller }) => probes.later(params.id, caller),
    arrival: ({ params, query, caller, signal }) =>
      arrivalSeen(looking, { ...query, ...params }, caller, signal),
    expectArrival: ({ params, body, caller }) => {
      checkSender(caller, body.from);
      return { until: new Date(expected.expect(params.id, body)).toISOString() };
    },
    dropArrival: ({ params, query, caller }) => {
      checkSender(caller, query.from);
      expected.drop(params.id, query.from);
      return { ok: true } as const;
    },
  };
}

async function dryRun(
  { outgoing, checks }: AgentHandlerDependencies,
  id: string,
  asked: MigrationRequest,
  signal: AbortSignal,
) {
  const done = { id, started: false };
  if (outgoing.isBegun(id, asked)) return done;
  return { ...done, checks: [...(await checks.dryRun(asked, signal))] };
}

type LeftoverRoutes = Pick<
  typeof agentContract,
  'leftovers' | 'clearLeftovers' | 'deleteLeftovers'
>;

function leftoverHandlers(deps: AgentHandlerDependencies): Handlers<LeftoverRoutes> {
  const { leftovers } = deps;
  return {
    leftovers: async () => ({ leftovers: await leftovers.list() }),
    clearLeftovers: ({ caller }) => cleared(deps, caller.name),
    deleteLeftovers: async ({ query, caller }) => {
      if (query.dryRun !== 'true') return cleared(deps, caller.name);
      const all = await leftovers.list();
      return { cleared: all.filter(({ safe }) => safe), left: all.filter(({ safe }) => !safe) };
    },
  };
}

async function cleared(
  { leftovers, log }: AgentHandlerDependencies,
  by: string,
): Promise<ClearedList> {
  const answer = await leftovers.clear();
  log.info({ by, cleared: answer.cleared.length }, 'leftovers removed');
  return answer;
}

type ResolveRoutes = Pick<
  typeof agentContract,
  'side' | 'endSiteCheck' | 'sighting' | 'resolution' | 'resolve' | 'takeUp'
>;

function resolveHandlers(deps: AgentHandlerDependencies): Handlers<ResolveRoutes> {
  const { config, guests, store, sides, resolve } = deps;
  return {
    side: async ({ params, query, caller }) => ({
      ...(await sides.forPeer(params.id, query.look, caller)),
      ...returnsSeen(deps, params.id),
    }),
    endSiteCheck: ({ params, body, caller }) => endSiteCheck(deps, params.id, body.by, caller),
    sighting: ({ params, query, caller }) =>
      sightingOf({ guests, store, host: config.name }, params.guest, {
        ...query,
        asker: caller.name,
      }),
    resolution: ({ params }) => resolve.shown(params.id),
    resolve: ({ params, body, caller, signal }) =>
      resolve.resolve(params.id, body, caller.name, signal),
    takeUp: ({ params, body, caller, signal }) => resolve.takeUp(params.id, body, caller, signal),
  };
}

function cacheHandlers({ cache, log }: AgentHandlerDependencies): Handlers<typeof cacheRoutes> {
  return {
    cache: () => cache.status(),
    seedCache: ({ body, signal }) => cache.seed(body, signal),
    pruneCache: async ({ body, caller }) => {
      const answer = await cache.prune(body.bytes);
      log.info({ by: caller.name, ...answer }, 'cache pruned');
      return answer;
    },
  };
}

async function hostInfo({
  config,
  store,
  guests,
  inventory,
}: AgentHandlerDependencies): Promise<HostInfo> {
  const [machine, list] = await Promise.all([inventory.machine(), guests.listed()]);
  const running = store.running();
  const count = (side: 'source' | 'destination'): number =>
    running.filter(({ request }) => request.side === side).length;
  return {
    name: config.name,
    address: config.address,
    ...defined({ site: config.site }),
    version: PRODUCT_VERSION,
    protocolVersions: [...PROTOCOL_VERSIONS],
    ...machine,
    guests: list.found.length,
    migrations: { in: count('destination'), out: count('source') },
  };
}

interface DiskMoveHandlerDependencies {
  readonly diskMoves: DiskMoves;
  readonly log: Log;
}

function diskMoveHandlers({
  diskMoves,
  log,
}: DiskMoveHandlerDependencies): Handlers<typeof diskMoveRoutes> {
  return {
    moveDisk: async ({ body, caller }) => {
      const id = await diskMoves.begin(body);
      const { guest, disk, to } = body;
      log.info({ id, guest, disk, to, by: caller.name }, 'disk move started');
      return { id };
    },
    diskMoves: ({ query }) => {
      const keyOf = ({ startedAt, id }: DiskMoveProgress) => [startedAt, id] as const;
      const { items, next } = pageOf(diskMoves.list(), keyOf, query, 'last to first');
      return { moves: items, ...defined({ next }) };
    },
    diskMoveEvents: ({ params, signal }) => diskMoves.events(params.id, signal),
    cancelDiskMove: async ({ params, caller }) => {
      const answer = await diskMoves.cancel(params.id);
      log.info({ id: params.id, by: caller.name, ...answer }, 'cancel requested');
      return answer;
    },
    diskMoveResolution: ({ params }) => diskMoves.resolution(params.id),
    resolveDiskMove: ({ params, body, caller }) => diskMoves.resolve(params.id, body, caller.name),
  };
}

interface LabelHandlerDependencies {
  readonly guests: Guests;
  readonly labels: HostLabels;
  readonly log: Log;
}

function labelHandler({
  guests,
  labels,
  log,
}: LabelHandlerDependencies): Handlers<Pick<typeof agentContract, 'labelGuest'>> {
  return {
    labelGuest: async ({ params: { guest }, body, caller }) => {
      await guests.need(guest);
      // Labels of absent guests may be evicted, so a guest that was just started must count as present.
      const here = labels.isFull() ? namesIn(await guests.listed()) : undefined;
      const now = labels.change(guest, body, here);
      log.info({ guest, ...body, by: caller.name }, 'guest labelled');
      await guests.listed(true);
      return { labels: now };
    },
  };
}
