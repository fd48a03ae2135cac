import { peerAgentContract } from '../../protocol/peer/agent-routes.ts';
import { peerContract } from '../../protocol/peer/contract.ts';
import { splitAddress, withHost } from '../../protocol/names.ts';
import { rendezvousOf } from '../../protocol/relay.ts';
import type { Api, Client } from '../../rpc/client.ts';
import type { Connect } from './surroundings.ts';

/** Path to the destination: an address of its agent, with the connections over it. */
export class NetworkPath {
  readonly address: string;
  readonly #name: string;
  readonly #connect: Connect;
  /** The host's main address: addresses that the destination reports are valid, except behind a relay. */
  readonly #main: boolean;
  #agent: Client<typeof peerAgentContract> | undefined;
  #mover: { readonly address: string; readonly client: Client<typeof peerContract> } | undefined;

  constructor(name: string, address: string, main: boolean, connect: Connect) {
    this.#name = name;
    this.address = address;
    this.#main = main;
    this.#connect = connect;
  }

  /** Maps an address that the destination reports to this path. */
  route(stated: string): string {
    const isAsStated = this.#main && rendezvousOf(this.address) === undefined;
    return isAsStated ? stated : withHost(stated, splitAddress(this.address).host);
  }

  agent(): Api<typeof peerAgentContract> {
    this.#agent ??= this.#connect(peerAgentContract, this.#name, this.address);
    return this.#agent.api;
  }

  mover(stated: string): Client<typeof peerContract> {
    const address = this.route(stated);
    if (this.#mover?.address !== address) {
      this.#mover?.client.close();
      this.#mover = { address, client: this.#connect(peerContract, this.#name, address) };
    }
    return this.#mover.client;
  }

  /** Closes all connections and their calls; the next call opens new ones. */
  reset(): void {
    this.#agent?.close();
    this.#mover?.client.close();
    this.#agent = undefined;
    this.#mover = undefined;
  }
}
