import { godwitError, hasCode, toGodwitError, type GodwitError } from '../../errors.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { SilentHost } from '../../protocol/public/resolve.ts';
import type { Api } from '../../rpc/client.ts';

export type AgentApi = Api<typeof agentContract>;

export interface Endpoint {
  /** The host's name, or the given address, for messages. */
  readonly label: string;
  readonly api: AgentApi;
}

export interface AgentSet {
  readonly endpoints: readonly [Endpoint, ...Endpoint[]];
  /** Another host's agent, if a certificate for it is available. */
  reach?(host: string, address: string): Endpoint;
  readonly directory?: Directory;
  close(): void;
}

export interface Directory {
  /** Agents of all hosts with a guest of this name; a moving guest is at its source. */
  homes(guest: string): Promise<readonly Endpoint[]>;
  /** The agent of a migration's source; undefined if the controller does not have the migration. */
  source(migration: string): Promise<Endpoint | undefined>;
  /** Id of the newest running migration, of all or of one guest. */
  underWay(guest?: string): Promise<string | undefined>;
}

export async function askAny<T>(
  fleet: AgentSet,
  ask: (endpoint: Endpoint) => Promise<T>,
): Promise<T> {
  let last: unknown;
  for (const endpoint of fleet.endpoints) {
    try {
      return await ask(endpoint);
    } catch (error) {
      // Only silence leads to the next agent: a refusal is an answer.
      if (!hasCode(error, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE')) throw error;
      last = error;
    }
  }
  throw last;
}

/** Another host's agent, found through the known agents; undefined without a certificate for it. */
export async function reachHost(fleet: AgentSet, host: string): Promise<Endpoint | undefined> {
  if (fleet.reach === undefined) return undefined;
  if (fleet.directory !== undefined) return fleet.reach(host, '');
  const { hosts } = await askAny(fleet, ({ api }) => api.hosts());
  const address = hosts.find((each) => each.name === host)?.address;
  return address === undefined ? undefined : fleet.reach(host, address);
}

export function howToReach(host: string): string {
  return `run this there, or give a certificate of yours, with which ${host} is asked: --cert, --key and --ca, or a context that has one.`;
}

export interface HostAnswers<T> {
  readonly items: T[];
  readonly missing: readonly SilentHost[];
}

/**
 * A single agent is asked for its peers, too; several agents are all there are, and each is asked for its own host.
 * Rejects with the last error if no agent answers.
 */
export async function askAll<T>(
  fleet: AgentSet,
  ask: (endpoint: Endpoint, scope: 'local' | 'all') => Promise<HostAnswers<T>>,
): Promise<HostAnswers<T>> {
  const [only, ...others] = fleet.endpoints;
  if (others.length === 0) return ask(only, 'all');
  const all = await Promise.allSettled(fleet.endpoints.map((each) => ask(each, 'local')));
  const reported = all.filter((each) => each.status === 'fulfilled').map(({ value }) => value);
  const missing = all.flatMap((each, index) => {
    const host = fleet.endpoints[index]?.label ?? '';
    return each.status === 'rejected' ? [{ host, why: toGodwitError(each.reason).message }] : [];
  });
  const failed = all.findLast((each) => each.status === 'rejected');
  if (reported.length === 0 && failed !== undefined) throw failed.reason;
  return {
    items: reported.flatMap(({ items }) => items),
    missing: [...reported.flatMap((each) => each.missing), ...missing],
  };
}

export const MAX_NAMED = 20;

export function incomplete(
  what: string,
  missing: readonly SilentHost[],
  hint?: string,
): GodwitError | undefined {
  if (missing.length === 0) return undefined;
  const named = missing.slice(0, MAX_NAMED).map(({ host, why }) => `${host} (${why})`);
  const more = missing.length > MAX_NAMED ? [`${missing.length - MAX_NAMED} more`] : [];
  const hosts = `no answer from ${[...named, ...more].join(', ')}`;
  return godwitError('GODWIT_INCOMPLETE', { what, hosts }, hint === undefined ? {} : { hint });
}
