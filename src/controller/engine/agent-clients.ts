import { agentContract } from '../../protocol/contract.ts';
import { client, type Api, type Client } from '../../rpc/client.ts';
import type { Credentials } from '../../rpc/tls.ts';

const MAX_HOSTS = 1024;
/** Longer than the pause between two looks at a move. A connection takes 100 KiB, and most hosts are idle. */
const IDLE_MS = 10_000;

export interface AgentClientsDependencies {
  readonly credentials: Credentials;
  readonly agentOf: (host: string) => AgentAddress | undefined;
}

/** host:port of a host's agent, or the socket of its manager's agent. */
export type AgentAddress = { readonly address: string } | { readonly unix: string };

export function reached(
  place: { readonly address: string; readonly manager?: string },
  socketOf: (manager: string) => string,
): AgentAddress {
  return place.manager === undefined
    ? { address: place.address }
    : { unix: socketOf(place.manager) };
}

interface CachedClient {
  readonly address: string;
  readonly speaking: Client<typeof agentContract>;
}

export class AgentClients {
  readonly #deps: AgentClientsDependencies;
  readonly #kept = new Map<string, CachedClient>();

  constructor(deps: AgentClientsDependencies) {
    this.#deps = deps;
  }

  at(host: string): Api<typeof agentContract> | undefined {
    const agent = this.#deps.agentOf(host);
    return agent === undefined ? undefined : this.#speaking(host, agent).api;
  }

  close(): void {
    for (const { speaking } of this.#kept.values()) speaking.close();
    this.#kept.clear();
  }

  #speaking(host: string, agent: AgentAddress): Client<typeof agentContract> {
    const address = 'unix' in agent ? agent.unix : agent.address;
    const known = this.#kept.get(host);
    this.#kept.delete(host);
    if (known !== undefined && known.address !== address) known.speaking.close();
    const { credentials } = this.#deps;
    const kept =
      known?.address === address
        ? known
        : {
            address,
            speaking: client(
              agentContract,
              'unix' in agent
                ? { unix: agent.unix, peer: `the agent of the manager of ${host}` }
                : { address, credentials, expectedName: host, idleMs: IDLE_MS },
            ),
          };
    this.#kept.set(host, kept);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_HOSTS && oldest !== undefined) {
      this.#kept.get(oldest)?.speaking.close();
      this.#kept.delete(oldest);
    }
    return kept.speaking;
  }
}
