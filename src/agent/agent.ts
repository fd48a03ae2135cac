import path from 'node:path';
import { systemClock, type Clock } from '../clock.ts';
import type { AgentConfig } from '../config.ts';
import type { Driver } from '../drivers/registry.ts';
import { godwitError } from '../errors.ts';
import type { Log, LogLevel } from '../log.ts';
import { agentContract } from '../protocol/contract.ts';
import { listenTls, listenUnix } from '../rpc/listen.ts';
import { Refusals } from '../rpc/refusals.ts';
import { serve, type Handlers } from '../rpc/server.ts';
import type { Credentials } from '../rpc/tls.ts';
import { HostCache } from './host/cache.ts';
import { DirtyRates } from './guests/dirty-rates.ts';
import { DiskMoves } from './migrations/disk-moves.ts';
import { Follow } from './migrations/follow.ts';
import { IdleCollection } from './host/idle-collection.ts';
import { GuestLoads } from './guests/guest-loads.ts';
import { GuestLogs } from './guests/guest-logs.ts';
import { HostLabels } from './guests/guest-labels.ts';
import { Guests, type GuestsBeside } from './guests/guests.ts';
import { Load, processOf, thisLoad, type LoadReader } from './host/load.ts';
import { agentHandlers } from './handlers.ts';
import { Closings } from './host/closing.ts';
import { ExpectedArrivals } from './expected-arrivals.ts';
import { HostEvents } from './host/host-events.ts';
import { Incoming } from './migrations/incoming.ts';
import { Health, type HealthReader } from './host/health.ts';
import { HostInventory, type MachineReader } from './host/inventory.ts';
import type { MoverProcesses } from './processes/mover-process.ts';
import { Orders } from './migrations/orders.ts';
import { ownProcessors } from './host/own-processors.ts';
import { Outgoing } from './migrations/outgoing.ts';
import { Peers } from './peers.ts';
import { openPrediction } from './prediction/open-prediction.ts';
import { Plans } from './prediction/plans.ts';
import { PreflightAnswers } from './preflight/answers.ts';
import { askHere, type AskChecker } from './preflight/checker-process.ts';
import { Checks } from './preflight/checks.ts';
import { makePrivateDir } from '../pki/files.ts';
import { ownIdentity } from '../pki/own-identity.ts';
import { Renewal } from './pki/renewal.ts';
import { Spread } from './pki/spread.ts';
import { Leftovers } from './leftovers/leftovers.ts';
import { RefusedByMovers } from './migrations/refused-by-movers.ts';
import type { StartReceiver } from './processes/receiver-process.ts';
import { Receivers } from './processes/receivers.ts';
import { openRecovery } from './recovery/open-recovery.ts';
import { Reload } from './reload.ts';
import { AfterMove } from './migrations/after-move.ts';
import { Returns } from './migrations/returns.ts';
import { Resolve } from './resolve/resolve.ts';
import { Sides } from './migrations/sides.ts';
import { HOST_CERT, hostCredentials } from '../host/credentials.ts';
import { Fleet, pkiDirOf } from '../host/fleet.ts';
import { hostFactsOf } from '../host/machine/host-facts.ts';
import { fenceOf } from '../host/fencing.ts';
import { MigrationStore } from './migrations/store.ts';
import { Supervisor } from './processes/supervision.ts';
import { GuestProbes, type Others } from './host/probes.ts';
import { trustOf } from './trust.ts';

const GRACE_MS = 2000;
const ADMITTED_MS = 2000;
const PRUNE_MS = 3_600_000;

export interface AgentOptions {
  readonly config: AgentConfig;
  readonly drivers: readonly Driver[];
  readonly movers: MoverProcesses;
  readonly log: Log;
  readonly setLogLevel?: (level: LogLevel) => void;
  readonly clock?: Clock;
  readonly machine?: MachineReader;
  readonly hardware?: HealthReader;
  readonly load?: LoadReader;
  readonly apart?: AskChecker;
  readonly startReceiver?: StartReceiver;
}

export interface RunningAgent {
  readonly address: string;
  readonly socket: string;
  /** Applies a changed configuration, as `godwit reload` does. Never rejects. */
  reload(): Promise<void>;
  /** Accepts no more calls and lets running ones end; movers keep running. */
  close(): Promise<void>;
}

/** GODWIT_PKI or GODWIT_CONFIG if its certificate has another name. */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const { config, drivers, movers, log, clock = systemClock, machine } = options;
  const [fleet, closings] = [new Fleet(config, clock), new Closings(config, clock)];
  const [credentials, hostFacts] = [ownCredentials(config, fleet), hostFactsOf(config, clock)];
  makePrivateDir(config.stateDir);
  const store = new MigrationStore(config.stateDir, config.name, clock);
  const supervisor = new Supervisor(store, movers, clock, log);
  const arrival = (id: string) => store.arrival(id);
  const loads = new GuestLoads(config.stateDir, { clock, log, arrival });
  const [hostEvents, labels] = [new HostEvents(), new HostLabels(config.stateDir, arrival)];
  const guests = new Guests(config, drivers, store, clock, besideOf(hostEvents, labels, loads));
  const health = new Health({ clock, log }, options.hardware);
  const [peers, processors] = [new Peers(fleet, credentials), ownProcessors(config)];
  const inventory = new HostInventory(drivers, clock, machine, health.newest, processors);
  const common = { config, clock, log, store, guests, labels, inventory, peers, supervisor };
  const [cache, diskMoves] = [new HostCache(config), new DiskMoves({ ...common, drivers })];
  const [spread, renewal] = [new Spread({ ...common, fleet }), new Renewal({ ...common, fleet })];
  const [refusals, ofMovers] = [new Refusals(clock), new RefusedByMovers(store, movers)];
  const sides = new Sides({ config, drivers, store, movers, supervisor, log });
  const incoming = new Incoming({ ...common, movers, hostFacts, closings });
  const probes = new GuestProbes(config, clock, othersOf(config, incoming, peers));
  const dirtyRates = new DirtyRates({ ...common, guestLoads: loads });
  const predicting = { ...openPrediction(common), guestLoads: loads };
  const outgoing = new Outgoing({ ...common, ...predicting, diskMoves });
  const follow = new Follow({ ...common, movers });
  const returns = new Returns({ ...common, outgoing, follow });
  const afterMove = new AfterMove({ ...common, name: config.name, probes });
  const { apart = askHere({ ...common, drivers }), load = { ...thisLoad, processors } } = options;
  const checking = checksAndRecovery({ ...common, drivers, outgoing, apart, diskMoves });
  const [reload, receivers] = [new Reload(options), new Receivers({ ...options, ...common })];
  const beside = { cache, probes, diskMoves, spread, hostEvents, reload, returns, afterMove };
  const handlers = agentHandlers({
    ...common,
    orders: new Orders(config.stateDir),
    outgoing,
    ...checking,
    plans: new Plans({ config, ...checking, outgoing, ...predicting }),
    ...predicting,
    answers: new PreflightAnswers({ config, clock, incoming, apart }),
    incoming,
    ...ofEmptied(config, clock, closings),
    follow,
    sides,
    resolve: new Resolve({ ...common, movers, sides, fence: fenceOf(config, fleet) }),
    leftovers: new Leftovers({ ...common, movers, drivers }),
    ...beside,
    receivers,
    load: new Load(() => guests.known().map(processOf), common, load, health.newest),
    trust: () => trustOf({ ...common, fleet, spread, renewal, refusals, ofMovers }),
  });
  const { tls, unix } = await listen(handlers, config, credentials, { log, refusals });
  hostEvents.start(store, log);
  const started = [supervisor, guests, dirtyRates, diskMoves, spread, renewal, health];
  for (const each of [...started, returns, afterMove, checking.recovery]) each.start();
  void probes.sweep();
  const endTending = tend(options, clock, { store, cache, receivers, labels });
  log.info({ address: tls.address, socket: unix.address }, 'agent serves');
  return {
    address: tls.address,
    socket: unix.address,
    reload: () => reload.orLog(),
    close: async () => {
      for (const each of [supervisor, guests, dirtyRates, hostEvents, health]) each.stop();
      await closeAll([returns, afterMove, loads, checking.recovery]);
      for (const each of [spread, renewal, probes]) each.close();
      await endTending([tls.close(GRACE_MS), unix.close(GRACE_MS), diskMoves.close()]);
      peers.close();
    },
  };
}

const ofEmptied = (config: AgentConfig, clock: Clock, closings: Closings) => ({
  closings,
  expected: new ExpectedArrivals(config, clock, closings),
});

const closeAll = (all: readonly { close(): Promise<void> }[]): Promise<unknown> =>
  Promise.all(all.map((each) => each.close()));

function checksAndRecovery(
  deps: ConstructorParameters<typeof Checks>[0] &
    Omit<Parameters<typeof openRecovery>[0], 'checks'> & { readonly diskMoves: DiskMoves },
) {
  const checks = new Checks(deps);
  const recovery = openRecovery({ ...deps, checks });
  deps.diskMoves.tellBeforeSwitch((guest, signal) =>
    recovery.keepStandbys.announceChange(guest, signal),
  );
  return { checks, recovery };
}

function othersOf({ name }: AgentConfig, incoming: Incoming, peers: Peers): Others {
  return {
    admittedGuest: async (to, id) =>
      to === name
        ? incoming.guest(id)
        : peers.probing(to).admittedGuest({ params: { id } }, { deadlineMs: ADMITTED_MS }),
    addresses: () => peers.addresses(),
  };
}

async function listen(
  handlers: Handlers<typeof agentContract>,
  { name, address, addresses, stateDir }: AgentConfig,
  credentials: Credentials,
  listening: Parameters<typeof listenUnix>[2],
) {
  const listener = serve(agentContract, handlers, { name, ...listening });
  const tls = await listenTls(listener, { address, further: addresses }, credentials, listening);
  const socket = path.join(stateDir, 'agent.sock');
  const unix = await listenUnix(listener, socket, listening).catch(async (thrown: unknown) => {
    await tls.close();
    throw thrown;
  });
  return { tls, unix };
}

interface Grows {
  readonly store: MigrationStore;
  readonly cache: HostCache;
  readonly receivers: Receivers;
  readonly labels: HostLabels;
}

/** Limits logs, caches and records until the returned function is called, which waits for `orders`. */
function tend(options: AgentOptions, clock: Clock, grows: Grows) {
  const guestLogs = new GuestLogs(options.config, clock, options.log);
  guestLogs.start();
  const endLabels = grows.labels.start({ clock, log: options.log });
  const idleCollection = new IdleCollection();
  idleCollection.start();
  sweep(options, grows);
  const pruning = setInterval(() => {
    prune(options, grows);
    sweep(options, grows);
  }, PRUNE_MS);
  return async (orders: readonly Promise<void>[]): Promise<void> => {
    clearInterval(pruning);
    idleCollection.stop();
    await Promise.all(orders);
    await Promise.all([guestLogs.close(), endLabels()]);
  };
}

function sweep({ log }: AgentOptions, { receivers }: Grows): void {
  try {
    receivers.sweep();
  } catch (err) {
    log.warn({ err }, 'receiver sockets may be left over');
  }
}

function prune({ config, drivers, log }: AgentOptions, { store, cache }: Grows) {
  try {
    store.prune();
    cache.tend();
  } catch (err) {
    log.error({ err }, 'old files could not be removed');
  }
  const guestsDir = path.join(config.stateDir, 'guests');
  for (const driver of drivers) {
    driver
      .tend?.(guestsDir)
      .catch((err: unknown) => log.warn({ err }, 'guests could not be checked'));
  }
}

/** The certificate must carry the host's name, because peers identify the host by it. */
function ownCredentials(config: AgentConfig, fleet: Fleet): Credentials {
  const credentials = hostCredentials(config, fleet);
  const file = path.join(pkiDirOf(config), HOST_CERT);
  const { name, role } = ownIdentity(file, credentials.cert);
  if (name === config.name && role === 'agent') return credentials;
  const what = `is for ${name} (${role}); this agent is ${config.name} and needs the role agent`;
  throw godwitError('GODWIT_CONFIG', { file, what });
}

function besideOf(events: HostEvents, labels: HostLabels, loads: GuestLoads): GuestsBeside {
  return {
    looked: (found) => loads.looked(found),
    seen: (before, now) => {
      events.compare(before.guests, now.guests);
      events.compareHosts(before.hosts, now.hosts);
    },
    managerIs: (silence) => events.manager(silence),
    labelsOf: (guest) => labels.of(guest),
  };
}
