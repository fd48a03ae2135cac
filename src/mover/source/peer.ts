import { godwitError, hasCode, toGodwitError } from '../../errors.ts';
import { systemClock } from '../../clock.ts';
import { agentContract, peerContract } from '../../protocol/contract.ts';
import type { Admission } from '../../protocol/peer.ts';
import type { Api, Client } from '../../rpc/client.ts';
import type { Connect } from '../surroundings.ts';

type PeerApi = Api<typeof peerContract>;

/** Between two tries to reach the destination, ms. */
const RETRY_MS = 250;

/**
 * The destination as the source's mover sees it: its agent, which knows where its mover listens,
 * and that mover. Calls are repeated over a new address when the mover has been replaced.
 */
export class DestinationPeer {
  readonly #name: string;
  readonly #connect: Connect;
  readonly #agent: Client<typeof agentContract>;
  #mover: { readonly address: string; readonly client: Client<typeof peerContract> } | undefined;

  constructor(name: string, address: string, connect: Connect) {
    this.#name = name;
    this.#connect = connect;
    this.#agent = connect(agentContract, name, address);
  }

  async admit(admission: Admission, signal: AbortSignal): Promise<string> {
    const { moverAddress } = await this.#agent.api.admit(
      { body: admission },
      { signal, deadlineMs: 15_000 },
    );
    this.#use(moverAddress);
    return moverAddress;
  }

  /** Speaks to a mover that an earlier process of ours was told of. */
  resume(moverAddress: string): void {
    if (this.#mover === undefined) this.#use(moverAddress);
  }

  /** Finds the destination's mover where no answer told of it; false when its agent never admitted the guest. */
  async locate(id: string, signal: AbortSignal): Promise<boolean> {
    if (this.#mover !== undefined) return true;
    try {
      const { moverAddress } = await this.#agent.api.incoming(
        { params: { id } },
        { signal, deadlineMs: 5000 },
      );
      this.#use(moverAddress);
      return true;
    } catch (thrown) {
      if (hasCode(thrown, 'GODWIT_MIGRATION_UNKNOWN')) return false;
      throw thrown;
    }
  }

  get known(): boolean {
    return this.#mover !== undefined;
  }

  /** Opens a connection beside one that is in use, or keeps it, so that the blackout holds no handshake. */
  async warm(signal: AbortSignal): Promise<void> {
    await this.#mover?.client.warm(1, { signal });
  }

  /**
   * Calls the destination's mover; while it cannot be reached, asks its agent where it is and tries again,
   * until the signal aborts. Every call of the contract may be repeated, so a lost answer does no harm.
   */
  async call<T>(id: string, signal: AbortSignal, ask: (api: PeerApi) => Promise<T>): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      try {
        return await ask(this.#api());
      } catch (thrown) {
        if (signal.aborted || !isUnreachable(thrown)) throw thrown;
      }
      await systemClock.sleep(RETRY_MS, signal);
      await this.#relocate(id, signal);
    }
  }

  /** One try, without a second. */
  async once<T>(ask: (api: PeerApi) => Promise<T>): Promise<T> {
    return ask(this.#api());
  }

  /** Asks the agent where its mover listens now; it starts one if there is none. False when the agent is away too. */
  async #relocate(id: string, signal: AbortSignal): Promise<void> {
    try {
      const { moverAddress } = await this.#agent.api.incoming(
        { params: { id } },
        { signal, deadlineMs: 5000 },
      );
      if (moverAddress !== this.#mover?.address) this.#use(moverAddress);
    } catch (thrown) {
      if (!isUnreachable(thrown)) throw thrown;
    }
  }

  #api(): PeerApi {
    if (this.#mover === undefined) {
      throw godwitError('GODWIT_INTERNAL', {
        what: `${this.#name} has not admitted the guest yet`,
      });
    }
    return this.#mover.client.api;
  }

  #use(address: string): void {
    this.#mover?.client.close();
    this.#mover = { address, client: this.#connect(peerContract, this.#name, address) };
  }

  close(): void {
    this.#mover?.client.close();
    this.#agent.close();
  }
}

function isUnreachable(thrown: unknown): boolean {
  return hasCode(toGodwitError(thrown), 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE');
}
