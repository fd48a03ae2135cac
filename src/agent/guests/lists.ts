import type { AgentConfig } from '../../config.ts';
import type { Log } from '../../log.ts';
import type { agentContract } from '../../protocol/contract.ts';
import { defined } from '../../protocol/defined.ts';
import { MAX_TEXT } from '../../protocol/names.ts';
import type { MissingGuests } from '../../protocol/public/contract.ts';
import type { HostEntry, HostInfo } from '../../protocol/public/hosts/host.ts';
import { newestOnce } from '../../protocol/public/newest-once.ts';
import { MAX_PER_PAGE, pageOf } from '../../protocol/public/page.ts';
import type { Handlers } from '../../rpc/server.ts';
import type { Silent } from './driver-guests.ts';
import type { Follow } from '../migrations/follow.ts';
import { departures } from '../guest-moves.ts';
import type { Guests } from './guests.ts';
import { closingHandlers, type ClosingDependencies, type ClosingRoutes } from '../host/closing.ts';
import type { Peers } from '../peers.ts';
import { SingleFlight } from './single-flight.ts';
import type { MigrationStore } from '../migrations/store.ts';
import { withDeadline } from '../../deadline.ts';
import type { HostMaintenance } from '../../port/managed.ts';
import { isManaged } from '../../drivers/registry.ts';
import { godwitError } from '../../errors.ts';
import { Mutex } from '../../mutex.ts';
import type { MaintenanceSight } from '../../protocol/public/hosts/managed-host.ts';
import { didYouMean } from '../../protocol/nearest.ts';

export interface ListDependencies extends Pick<ClosingDependencies, 'closings' | 'expected'> {
  readonly store: MigrationStore;
  readonly config: AgentConfig;
  readonly guests: Guests;
  readonly peers: Peers;
  readonly follow: Follow;
  readonly log: Log;
}

type ListRoutes = MaintenanceRoutes &
  ClosingRoutes &
  Pick<typeof agentContract, 'hosts' | 'guests' | 'managedHosts' | 'migrations'>;

export function listHandlers(
  deps: ListDependencies,
  own: () => Promise<HostInfo>,
): Handlers<ListRoutes> {
  const { config, guests, peers, follow, log, store } = deps;
  const entries = new SingleFlight(() => peers.entries());
  const guestsThere = new SingleFlight((name) => peers.guests(name === '' ? undefined : name));
  const migrationsThere = new SingleFlight((limit) => peers.migrations(Number(limit)));
  return {
    hosts: async () => {
      const [info, others] = await Promise.all([own(), entries.read('')]);
      const { name, address } = config;
      const self: HostEntry = { name, address, self: true, status: 'up', info };
      return { hosts: [self, ...others] };
    },
    guests: async ({ query }) => {
      const [{ found, observedAt, silent }, others] = await Promise.all([
        guests.listed(query.fresh === 'true'),
        query.scope === 'all' ? guestsThere.read(query.name ?? '') : undefined,
      ]);
      const all = [...found.map(({ info }) => info), ...(others?.items ?? [])].filter(
        ({ name }) => (query.name ?? name) === name,
      );
      const { items, next } = pageOf(all, ({ host, name, uuid = '' }) => [host, name, uuid], query);
      const missing = [
        ...silent.map((each) => lacking(config.name, each)),
        ...(others?.missing ?? []),
      ];
      const isWhole = others === undefined && (query.name ?? query.cursor) === undefined;
      // A returning copy is not the guest yet.
      const own = found.filter(({ info }) => info.state !== 'incoming');
      const here = new Set(own.map(({ info }) => info.name));
      const left = isWhole ? departures(store, here, Date.parse(observedAt)) : [];
      return {
        guests: items,
        ...(left.length === 0 ? {} : { left: left.slice(0, MAX_PER_PAGE) }),
        ...(others === undefined && missing.length === 0 ? {} : { missing }),
        observedAt,
        ...defined({ next }),
      };
    },
    ...maintenanceHandlers({ guests, log }),
    ...closingHandlers(deps),
    managedHosts: async ({ query }) => {
      const { hosts: all } = await guests.listed();
      const { items: hosts, next } = pageOf(all, ({ name }) => [name], query);
      return { hosts, ...defined({ next }) };
    },
    migrations: async ({ query }) => {
      if (query.scope === 'local') return follow.list(query);
      const { limit } = query;
      const [here, others] = await Promise.all([
        follow.list({ limit }),
        migrationsThere.read(String(limit)),
      ]);
      const migrations = newestOnce([...here.migrations, ...others.items], limit);
      return { migrations, missing: others.missing };
    },
  };
}

function lacking(host: string, { driver, error, asOfMs }: Silent): MissingGuests {
  const said = `${error.message}. ${error.hint}`;
  if (asOfMs === undefined) return { host, why: `${driver}: ${said}`.slice(0, MAX_TEXT) };
  const asOf = new Date(asOfMs).toISOString();
  const why = `${driver}, whose guests are listed as of ${asOf}: ${said}`;
  return { host, why: why.slice(0, MAX_TEXT), asOf };
}

const CALL_MS = 30_000;

type MaintenanceRoutes = Pick<
  typeof agentContract,
  'maintenanceMode' | 'enterMaintenanceMode' | 'leaveMaintenanceMode'
>;

function maintenanceHandlers({
  guests,
  log,
}: {
  readonly guests: Guests;
  readonly log: Log;
}): Handlers<MaintenanceRoutes> {
  // The manager answers an order before it gets the next one, even if the caller gave up.
  const turns = new Mutex();
  const asked = (
    host: string,
    what: string,
    work: (mode: HostMaintenance, signal: AbortSignal) => Promise<MaintenanceSight>,
  ): Promise<MaintenanceSight> =>
    turns.run(async () => {
      const mode = await modeFor(guests, host);
      const words = `the manager of ${host}, to ${what}`;
      return withDeadline(words, CALL_MS, undefined, (signal) => work(mode, signal));
    });
  return {
    maintenanceMode: async ({ params: { host } }) => {
      const mode = await modeFor(guests, host);
      const words = `the manager of ${host}`;
      return withDeadline(words, CALL_MS, undefined, (signal) => mode.look(host, signal));
    },
    enterMaintenanceMode: async ({ params: { host }, body, caller }) => {
      const sight = await asked(host, 'take it out of use', (mode, signal) =>
        mode.enter(host, body, signal),
      );
      log.info({ host, ...body, ...sight, by: caller.name }, 'maintenance mode requested');
      return sight;
    },
    leaveMaintenanceMode: async ({ params: { host }, caller }) => {
      const sight = await asked(host, 'use it again', (mode, signal) => mode.leave(host, signal));
      log.info({ host, ...sight, by: caller.name }, 'end of maintenance mode requested');
      return sight;
    },
  };
}

/** GODWIT_HOST_UNKNOWN if no manager here has that host, GODWIT_CAPABILITY if it has no such mode. */
async function modeFor(guests: Guests, host: string): Promise<HostMaintenance> {
  const { hosts } = await guests.listed();
  const found = hosts.find(({ name }) => name === host);
  if (found === undefined) {
    const names = hosts.map(({ name }) => name);
    const near = didYouMean(host, names);
    throw godwitError('GODWIT_HOST_UNKNOWN', { host }, near === undefined ? {} : { hint: near });
  }
  const driver = guests.drivers.filter(isManaged).find(({ maintenance }) => maintenance);
  if (driver?.maintenance !== undefined && found.maintenanceMode !== undefined)
    return driver.maintenance;
  const reason = `the manager of ${host} has no such mode for it`;
  const hint = 'A drain moves its guests all the same.';
  throw godwitError('GODWIT_CAPABILITY', { what: 'maintenance mode', reason }, { hint });
}
