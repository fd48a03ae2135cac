import { godwitError, hasCode, toGodwitError, type GodwitError } from '../../errors.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { SilentHost } from '../../protocol/public/resolve.ts';
import type { Api } from '../../rpc/client.ts';

/** The calls of an agent. */
export type AgentApi = Api<typeof agentContract>;

export interface Endpoint {
  /** For messages: a host's name, or the address that was given. */
  readonly label: string;
  readonly api: AgentApi;
}

/** The agents that this command line may speak to. */
export interface AgentSet {
  readonly endpoints: readonly [Endpoint, ...Endpoint[]];
  /** Another host's agent, where we have a certificate to speak to it with. */
  reach?(host: string, address: string): Endpoint;
  /** Who knows of all hosts, if a controller is asked. */
  readonly directory?: Directory;
  close(): void;
}

/** A controller that finds guests and migrations for the command line. */
export interface Directory {
  /** The agents of all hosts that have a guest of this name; a guest that moves is at its source. */
  homes(guest: string): Promise<readonly Endpoint[]>;
  /** The agent of a migration's source; undefined if the controller does not know the migration. */
  source(migration: string): Promise<Endpoint | undefined>;
  /** The id of the newest migration under way, of all or of one guest; undefined if none is known. */
  underWay(guest?: string): Promise<string | undefined>;
}

/** The answer of the first agent that answers; the last one's error when none does. */
export async function askAny<T>(
  fleet: AgentSet,
  ask: (endpoint: Endpoint) => Promise<T>,
): Promise<T> {
  let last: unknown;
  for (const endpoint of fleet.endpoints) {
    try {
      return await ask(endpoint);
    } catch (error) {
      // Only silence sends us on: an agent that refuses has answered.
      if (!hasCode(error, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE')) throw error;
      last = error;
    }
  }
  throw last;
}

/** The agent of another host, as the agents that we speak to know it; undefined when we cannot speak to it. */
export async function reachHost(fleet: AgentSet, host: string): Promise<Endpoint | undefined> {
  if (fleet.reach === undefined) return undefined;
  if (fleet.directory !== undefined) return fleet.reach(host, '');
  const { hosts } = await askAny(fleet, ({ api }) => api.hosts());
  const address = hosts.find((each) => each.name === host)?.address;
  return address === undefined ? undefined : fleet.reach(host, address);
}

/** What a person may do to have another host's agent asked. */
export function howToReach(host: string): string {
  return `run this there, or give a certificate of yours, with which ${host} is asked: --cert, --key and --ca, or a context that has one.`;
}

/** What hosts reported, and the hosts that reported nothing. */
export interface HostAnswers<T> {
  readonly items: T[];
  readonly missing: readonly SilentHost[];
}

/**
 * What all hosts report. One agent is asked for its peers too; where several are at hand, they are all there are, and each
 * is asked for its own. Rejects with the last error where no agent answers.
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

/** As many hosts as an error names. */
export const MAX_NAMED = 20;

/** That `what` lacks what these hosts have; undefined where all answered. `hint`: another than the error's own. */
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
