import { agentContract } from '../../protocol/contract.ts';
import { client } from '../../rpc/client.ts';
import type { Api, Client } from '../../rpc/client.ts';
import type { Credentials } from '../../rpc/tls.ts';

/** Hosts to which connections are kept; the one that was used longest ago is closed for another one. */
const MOST_HOSTS = 1024;

export interface AgentClientsParts {
  readonly credentials: Credentials;
  /** host:port of a host’s agent; undefined where it is no member of the fleet. */
  readonly addressOf: (host: string) => string | undefined;
}

interface Kept {
  readonly address: string;
  readonly speaking: Client<typeof agentContract>;
}

/** Connections to the agents of the fleet, over mTLS, kept for the next call. */
export class AgentClients {
  readonly #parts: AgentClientsParts;
  /** By host, the one used longest ago first. */
  readonly #kept = new Map<string, Kept>();

  constructor(parts: AgentClientsParts) {
    this.#parts = parts;
  }

  /** Undefined where the host is no member of the fleet. */
  at(host: string): Api<typeof agentContract> | undefined {
    const address = this.#parts.addressOf(host);
    return address === undefined ? undefined : this.#speaking(host, address).api;
  }

  close(): void {
    for (const { speaking } of this.#kept.values()) speaking.close();
    this.#kept.clear();
  }

  #speaking(host: string, address: string): Client<typeof agentContract> {
    const known = this.#kept.get(host);
    this.#kept.delete(host);
    if (known !== undefined && known.address !== address) known.speaking.close();
    const { credentials } = this.#parts;
    const kept =
      known?.address === address
        ? known
        : {
            address,
            speaking: client(agentContract, { address, credentials, expectedName: host }),
          };
    this.#kept.set(host, kept);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MOST_HOSTS && oldest !== undefined) {
      this.#kept.get(oldest)?.speaking.close();
      this.#kept.delete(oldest);
    }
    return kept.speaking;
  }
}
