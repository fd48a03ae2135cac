import { everyGuestOfPeer } from '../../agent/guests/peer-guests.ts';
import { hasCode, toGodwitError } from '../../errors.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { Api } from '../../rpc/client.ts';
import type { HostHeard } from '../requests/occupancy.ts';
import type { AgentClients } from './agent-clients.ts';
import type { HostCalls } from './ports.ts';

const LOOK_MS = 15_000;
const ANSWER_MS = 5000;
/** The host opens after this time unless a controller repeats the call, ms. */
export const CLOSED_MS = 120_000;

type AgentApi = Api<typeof agentContract>;

export function hostCalls(clients: Pick<AgentClients, 'at'>): HostCalls {
  const close = async (api: AgentApi, host: string, request: string): Promise<void> => {
    const asked = { params: { host }, body: { request, forMs: CLOSED_MS } };
    try {
      await api.closeHost(asked, { deadlineMs: ANSWER_MS });
    } catch (thrown) {
      if (!isEarlierBuild(thrown)) throw thrown;
    }
  };
  const heard = async (work: Promise<unknown>): Promise<boolean> =>
    work.then(
      () => true,
      () => false,
    );
  return {
    occupancy: async (host, request): Promise<HostHeard> => {
      const api = clients.at(host);
      if (api === undefined) return { of: 'silent', words: 'its address is not known' };
      try {
        await close(api, host, request);
        return { of: 'host', occupancy: await look(api, host) };
      } catch (thrown) {
        return { of: 'silent', words: toGodwitError(thrown).message.slice(0, 500) };
      }
    },
    close: async (host, request) => {
      const api = clients.at(host);
      return api !== undefined && heard(close(api, host, request));
    },
    open: async (host, request) => {
      const asked = { params: { host }, query: { request } };
      const api = clients.at(host);
      return api !== undefined && heard(api.openHost(asked, { deadlineMs: ANSWER_MS }));
    },
  };
}

/** An agent of an earlier build closes nothing, and reports the same in two lists. */
const isEarlierBuild = (thrown: unknown): boolean => hasCode(thrown, 'GODWIT_ROUTE_UNKNOWN');

async function look(
  api: AgentApi,
  host: string,
): Promise<Extract<HostHeard, { of: 'host' }>['occupancy']> {
  try {
    return await api.occupancy({ params: { host } }, { deadlineMs: LOOK_MS });
  } catch (thrown) {
    if (!isEarlierBuild(thrown)) throw thrown;
  }
  const { migrations } = await api.migrations({ query: {} }, { deadlineMs: ANSWER_MS });
  const { guests } = await everyGuestOfPeer(api, host, {
    signal: AbortSignal.timeout(LOOK_MS),
  });
  const underWay = migrations
    .filter(({ from, to, phase }) => (from === host || to === host) && GOES_ON.has(phase))
    .map(({ id, guest, from, to }) => ({ guest, migration: id, from, to }));
  return { guests: guests.map(({ name }) => name), underWay };
}

const GOES_ON: ReadonlySet<string> = new Set([
  ...(['planned', 'checking', 'seeding', 'preparing', 'disks', 'memory', 'switchover'] as const),
  ...(['handover', 'draining', 'verifying', 'cleanup', 'undoing', 'held'] as const),
]);
