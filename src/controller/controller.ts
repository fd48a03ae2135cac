import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { ownIdentity } from '../pki/own-identity.ts';
import { makePrivateDir } from '../pki/files.ts';
import { systemClock, type Clock } from '../clock.ts';
import { godwitError, type GodwitError } from '../errors.ts';
import { CONTROLLER_STEM, filesOf, liveCredentials } from '../host/credentials.ts';
import { Fleet } from '../host/fleet.ts';
import type { Log } from '../log.ts';
import type { HostHealth } from '../protocol/public/hosts/health.ts';
import type { SignInMethods } from '../protocol/controller/session.ts';
import { Refusals } from '../rpc/refusals.ts';
import type { Credentials } from '../rpc/tls.ts';
import { TokenBuckets } from '../token-buckets.ts';
import { Audit } from './audit/audit.ts';
import { controllerHandlers, type ControllerHandlerDependencies } from './api/handlers.ts';
import { SIGN_IN_ATTEMPTS } from './api/session.ts';
import { controllerPkiDir, databaseOf, type ControllerConfig } from './config.ts';
import { openListeners } from './listeners.ts';
import { AgentClients, reached } from './engine/agent-clients.ts';
import { HealthWatch, type HealthWatchDependencies } from './health/watch.ts';
import { OwnWatch } from './health/own-watch.ts';
import { History } from './history/history.ts';
import { Metrics } from './metrics.ts';
import { Inventory } from './inventory/inventory.ts';
import { ManagedHosts } from './inventory/managed.ts';
import { ListPull } from './inventory/list-pull.ts';
import type { Provider } from './oidc/provider.ts';
import { PowerWatch } from './power/watch.ts';
import { ManagerStore } from './managers/manager-store.ts';
import { Managers } from './managers/managers.ts';
import { AgentDirectory } from './managers/agent-directory.ts';
import { KeyRing } from './managers/seal.ts';
import { Migrations } from './store/migrations.ts';
import { RecoverWatch } from './recover/watch.ts';
import { openStore } from './store/open.ts';
import type { Traces } from './traces/exporter.ts';
import { RequestWatch } from './engine/request-watch.ts';
import { workOn, type Work } from './engine/work.ts';
import { MAX_LISTED, Recognition } from './who/recognition.ts';
import { Sessions } from './who/sessions.ts';
import { Tokens } from './who/tokens.ts';

export interface ControllerOptions {
  readonly config: ControllerConfig;
  readonly log: Log;
  readonly clock?: Clock;
  readonly pages?: string;
}

export interface RunningController {
  readonly address: string;
  readonly socket: string;
  readonly web: string | undefined;
  /** The controller must end then, see Store. */
  readonly outdated: Promise<GodwitError>;
  close(): Promise<void>;
}

/** GODWIT_PKI or GODWIT_CONFIG if its certificate is unsuitable; GODWIT_STORE... for its database. */
export async function startController(options: ControllerOptions): Promise<RunningController> {
  const { config, log, clock = systemClock, pages } = options;
  makePrivateDir(config.stateDir);
  const fleet = fleetOf(config, clock);
  const credentials = ownCredentials(config, fleet);
  const database = databaseOf(config);
  const store = await openStore(database, log);
  try {
    const listening = { log, refusals: new Refusals(clock) };
    const owner = { id: randomUUID(), name: config.name };
    const socketOf = socketsIn(config);
    const agents = agentsOf({ credentials, socketOf }, (host) => inventory.placeOf(host));
    const common = { store, clock, log };
    const own = new OwnWatch({ ...common, ...config, database, credentials, fleet });
    const metrics = new Metrics({ ...common, ...config, own });
    const traces = await tracesOf(config, common);
    const history = new History({
      ...common,
      policy: config.history,
      agentAt: (host) => agents.at(host),
      held: () => inventory.held(),
      exceeds: (host, isExceeded) => inventory.exceeds(host, isExceeded, 'migrations'),
      publish: (news) => {
        metrics.heard(news);
        traces?.heard(news);
        inventory.events.add(news);
      },
    });
    const managed = managedHosts(history, log, clock);
    const { power, policies, stateDir } = config;
    const followed = { migrations: history, managed, power, lookMs: policies.lookMs };
    const following = { ...common, fleet, credentials, owner, ...followed };
    const inventory: Inventory = new Inventory(following);
    const places = { stateDir, pkiDir: controllerPkiDir(config) };
    const lists = new ListPull({ fleet, credentials, ...places, log, up: () => inventory.up() });
    const work = workOn({ ...common, config, credentials, socketOf, owner: owner.id });
    const provider = await providerOf(config, clock);
    const signingIn = signingInTo({ ...common, config }, metrics);
    const reported = { log, clock, metrics, own, ...managersIn({ ...common, config }, managed) };
    const deps = { config, store, inventory, history, agents, ...reported, ...work, ...signingIn };
    const serving = { credentials, listening, pages, handlers: controllerHandlers(deps) };
    const listeners = await openListeners({ ...deps, ...serving, provider });
    await reported.managers.start();
    const watches = watchesOf(common, config, inventory, work);
    const recovery = recoveryOf({ ...common, config, inventory, agents, work });
    const news = new RequestWatch({ ...common, publish: (each) => inventory.events.add(each) });
    const all = [own, inventory, ...watches, history, lists, ...work.loops, recovery, news];
    for (const each of all) each.start();
    const { address, socket, web } = listeners;
    log.info({ address, socket, web }, 'controller serves');
    return {
      address,
      socket,
      web,
      outdated: store.outdated,
      close: async () => {
        lists.close();
        const first = [own, news, ...watches, recovery, work, reported.managers];
        for (const each of [...first, listeners, inventory, history]) await each.close();
        await traces?.close();
        agents.close();
        await signingIn.audit.settled();
        await store.close();
      },
    };
  } catch (thrown) {
    await store.close();
    throw thrown;
  }
}

function socketsIn({ stateDir }: ControllerConfig): SocketOf {
  return (manager) => new AgentDirectory(stateDir, manager).socket;
}

type SocketOf = (manager: string) => string;

function agentsOf(
  { credentials, socketOf }: { readonly credentials: Credentials; readonly socketOf: SocketOf },
  placeOf: Inventory['placeOf'],
): AgentClients {
  const agentOf = (host: string) => {
    const place = placeOf(host);
    return place === undefined ? undefined : reached(place, socketOf);
  };
  return new AgentClients({ credentials, agentOf });
}

function managedHosts(history: History, log: Log, clock: Clock): ManagedHosts {
  return new ManagedHosts({
    log,
    nowMs: () => clock.wallMs(),
    migrated: (host) => history.followed(host),
    moved: (host, progress) => history.heard(host, progress),
  });
}

function watchesOf(
  deps: Pick<HealthWatchDependencies, 'store' | 'clock' | 'log'>,
  { health: policy, power: settings }: ControllerConfig,
  inventory: Inventory,
  work: Work,
): readonly [HealthWatch, PowerWatch] {
  const healthOf = (name: string): HostHealth | undefined =>
    inventory.samplesOf(name)?.newest?.health;
  const hosts = () => inventory.up().map(({ name }) => ({ name, health: healthOf(name) }));
  const held = () => inventory.held();
  return [
    new HealthWatch({ ...deps, policy, hosts, held }),
    new PowerWatch({ ...deps, ...work, held, settings }),
  ];
}

function recoveryOf({
  config,
  inventory,
  agents,
  work,
  ...deps
}: Pick<HealthWatchDependencies, 'store' | 'clock' | 'log'> & {
  config: ControllerConfig;
  inventory: Inventory;
  agents: AgentClients;
  work: Pick<Work, 'requests'>;
}): RecoverWatch {
  return new RecoverWatch({
    ...deps,
    policy: config.recover,
    held: () => inventory.held(),
    exceeds: (host, isExceeded) => inventory.exceeds(host, isExceeded, 'standbys'),
    agentAt: (host) => agents.at(host),
    add: (request) => work.requests.add(request),
  });
}

function signingInTo(
  { config, store, log, clock }: Parameters<typeof managersIn>[0],
  metrics: Metrics,
) {
  const { name, audit: policy } = config;
  const who = { tokens: new Tokens(store), sessions: new Sessions(store) };
  const dropped = (): void => metrics.auditDropped();
  const audit = new Audit({ store, clock, log, policy, name, dropped });
  const listHashes = () => hashesOf(who.tokens, who.sessions);
  const nowMs = (): number => clock.monotonicMs();
  const recognition = new Recognition(nowMs, listHashes);
  const attempts = new TokenBuckets(SIGN_IN_ATTEMPTS, nowMs);
  return { ...who, recognition, audit, attempts, methods: methodsOf(config) };
}

async function hashesOf(tokens: Tokens, sessions: Sessions): Promise<string[]> {
  const ofTokens = await tokens.hashes(MAX_LISTED);
  return [...ofTokens, ...(await sessions.hashes(MAX_LISTED - ofTokens.length))];
}

function managersIn(
  deps: Pick<ControllerHandlerDependencies, 'config' | 'store' | 'log' | 'clock'>,
  hosts: ManagedHosts,
) {
  const { config, store, log, clock } = deps;
  const { stateDir } = config;
  const managerStore = new ManagerStore(
    store,
    new KeyRing(path.join(stateDir, 'manager-keys.json')),
  );
  const managers = new Managers({ book: managerStore, store, hosts, stateDir, clock, log });
  return { managers, managerStore };
}

/** Loaded on demand: most controllers use only tokens. */
async function providerOf({ web }: ControllerConfig, clock: Clock): Promise<Provider | undefined> {
  if (web?.oidc === undefined) return undefined;
  const { Provider } = await import('./oidc/provider.ts');
  const provider = new Provider(web.oidc, () => clock.monotonicMs());
  await provider.check();
  return provider;
}

async function tracesOf(
  { traces: config, name }: ControllerConfig,
  { store, clock, log }: Pick<ControllerHandlerDependencies, 'store' | 'clock' | 'log'>,
): Promise<Traces | undefined> {
  if (config === undefined) return undefined;
  const { Traces } = await import('./traces/exporter.ts');
  return new Traces({ config, migrations: new Migrations(store), clock, log, name });
}

function methodsOf({ web }: ControllerConfig): SignInMethods {
  const { oidc } = web ?? {};
  return { token: true, ...(oidc === undefined ? {} : { oidc: { name: oidc.name } }) };
}

const NO_HOST = 'this controller';

function fleetOf(config: ControllerConfig, clock: Clock): Fleet {
  const { stateDir, hosts } = config;
  const place = { name: NO_HOST, stateDir, pkiDir: controllerPkiDir(config), peers: hosts };
  return new Fleet(place, clock);
}

/** The certificate must have its name and role, because agents rely on them. */
function ownCredentials(config: ControllerConfig, fleet: Fleet): Credentials {
  const files = filesOf(CONTROLLER_STEM);
  const directory = controllerPkiDir(config);
  const credentials = liveCredentials(directory, files, fleet);
  const file = path.join(directory, files.cert);
  const { name, role } = ownIdentity(file, credentials.cert);
  if (name === config.name && role === 'controller') return credentials;
  const what = `is for ${name} (${role}); this is ${config.name} and needs the role controller`;
  throw godwitError('GODWIT_CONFIG', { file, what });
}
