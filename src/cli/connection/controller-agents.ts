import { godwitError, hasCode } from '../../errors.ts';
import { agentContract } from '../../protocol/contract.ts';
import { controllerContract } from '../../protocol/controller/contract.ts';
import { guestName } from '../../protocol/names.ts';
import { client, type Api } from '../../rpc/client.ts';
import type { Transport } from '../../rpc/transport.ts';
import type { Context, ConnectionFlags } from '../context.ts';
import type { AgentSet, Directory, Endpoint } from './agent-set.ts';
import { transportTo } from './controller-place.ts';

type ControllerApi = Api<typeof controllerContract>;

export async function agentsThrough(
  where: string,
  flags: ConnectionFlags,
  env: Context['env'],
): Promise<AgentSet> {
  const transport = transportTo(where, flags, env);
  const opened: { close(): void }[] = [];
  const close = (): void => opened.forEach((each) => each.close());
  const controller = client(controllerContract, transport);
  opened.push(controller);
  const open = (label: string, under: string): Endpoint => {
    const agent = client(agentContract, { ...transport, under });
    opened.push(agent);
    return { label, api: agent.api };
  };
  const reach = (host: string): Endpoint => open(host, `/v1/hosts/${host}/agent`);
  try {
    const [first, ...others] = await firstEndpoints(controller.api, open, reach);
    if (first === undefined) throw noAgent(where, transport);
    const directory = makeDirectory(controller.api, reach);
    return { endpoints: [first, ...others], reach, directory, close };
  } catch (thrown) {
    close();
    throw thrown;
  }
}

/** One reachable host lists all others; without one, each manager is asked about its hosts. */
async function firstEndpoints(
  api: ControllerApi,
  open: (label: string, under: string) => Endpoint,
  reach: (host: string) => Endpoint,
): Promise<Endpoint[]> {
  const { hosts } = await api.hosts({ query: { state: 'up' } });
  const host = hosts.find(({ manager }) => manager === undefined);
  if (host !== undefined) return [reach(host.name)];
  const { managers } = await api.managers();
  return managers.map(({ name }) => open(name, `/v1/managers/${name}/agent`));
}

function noAgent(where: string, transport: Transport): Error {
  const address = 'unix' in transport ? transport.unix : where.slice(0, 300);
  return godwitError(
    'GODWIT_UNREACHABLE',
    { peer: 'any host of the controller', address, reason: 'the controller reports none as up' },
    { hint: '`godwit hosts` shows its hosts, and why each is not up.' },
  );
}

function makeDirectory(api: ControllerApi, reach: (host: string) => Endpoint): Directory {
  return {
    homes: async (guest) => {
      if (!guestName.safeParse(guest).success) return [];
      const { guests } = await api.guests({ query: { name: guest } });
      return [...new Set(guests.map(({ host }) => host))].map(reach);
    },
    source: async (id) => {
      try {
        const { source } = await api.migration({ params: { id } });
        return reach(source);
      } catch (thrown) {
        // The migration has just begun, or the word is not an id: the agents report it.
        if (hasCode(thrown, 'GODWIT_MIGRATION_UNKNOWN', 'GODWIT_PROTOCOL_INVALID'))
          return undefined;
        throw thrown;
      }
    },
    underWay: async (guest) => {
      if (guest !== undefined && !guestName.safeParse(guest).success) return undefined;
      const { migrations } = await api.migrations({ query: { guest, state: 'open', limit: 1 } });
      return migrations[0]?.id;
    },
  };
}
