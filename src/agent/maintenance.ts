import { withDeadline } from '../deadline.ts';
import type { HostMaintenance } from '../drivers/port/managed.ts';
import { isManaged } from '../drivers/registry.ts';
import { godwitError } from '../errors.ts';
import type { Log } from '../log.ts';
import { Mutex } from '../mutex.ts';
import type { agentContract } from '../protocol/contract.ts';
import type { MaintenanceSight } from '../protocol/public/managed-host.ts';
import { didYouMean } from '../protocol/nearest.ts';
import type { Handlers } from '../rpc/server.ts';
import type { Guests } from './guests.ts';

/** One of its calls, ms. */
const CALL_MS = 30_000;

export type MaintenanceRoutes = Pick<
  typeof agentContract,
  'maintenanceMode' | 'enterMaintenanceMode' | 'leaveMaintenanceMode'
>;

/** Hosts of this agent's manager are taken out of use, and brought back. */
export function maintenanceHandlers({
  guests,
  log,
}: {
  readonly guests: Guests;
  readonly log: Log;
}): Handlers<MaintenanceRoutes> {
  // An order that its asker has given up is answered by the manager before the next one is given.
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
      log.info({ host, ...body, ...sight, by: caller.name }, 'maintenance mode was asked for');
      return sight;
    },
    leaveMaintenanceMode: async ({ params: { host }, caller }) => {
      const sight = await asked(host, 'use it again', (mode, signal) => mode.leave(host, signal));
      log.info({ host, ...sight, by: caller.name }, 'the end of maintenance mode was asked for');
      return sight;
    },
  };
}

/** GODWIT_HOST_UNKNOWN where no manager here has that host, GODWIT_CAPABILITY where it has no such mode. */
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
