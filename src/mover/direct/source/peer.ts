import { godwitError, hasCode, toGodwitError } from '../../../errors.ts';
import { systemClock } from '../../../clock.ts';
import type { peerAgentContract as agentContract } from '../../../protocol/peer/agent-routes.ts';
import type { peerContract } from '../../../protocol/peer/contract.ts';
import { splitAddress, withHost } from '../../../protocol/names.ts';
import { rendezvousOf } from '../../../protocol/relay.ts';
import type { Admission, AdmissionGrant } from '../../../protocol/peer/migration.ts';
import type { Check } from '../../../protocol/public/migration.ts';
import type { LookAtPath, PathLook } from '../../../host/machine/path-look.ts';
import type { Api } from '../../../rpc/client.ts';
import type { Connect, Surroundings } from '../../shared/surroundings.ts';
import type { AskKernel, Reach } from '../../../rpc/reach.ts';
import { NetworkPath } from '../../shared/network-path.ts';

type AgentApi = Api<typeof agentContract>;
export type PeerApi = Api<typeof peerContract>;

/** Question to the destination's mover; `route` maps an address that it reports to a reachable one. */
export type Question<T> = (api: PeerApi, route: (moverAddress: string) => string) => Promise<T>;

export interface AdmissionAnswer extends Partial<AdmissionGrant> {
  readonly checks?: readonly Check[];
  readonly askedMs: number;
  readonly answeredMs: number;
  readonly path: PathLook;
}

const RETRY_MS = 250;
/** Time for the path to answer, and interval of such questions during a call, ms. */
const REACH_MS = 1000;
/** Unanswered questions during a call until a path counts as dead. */
const MISSES = 2;
/** Time for a kernel that drops packets to one port to answer on others, ms. */
const SHUT_MS = 2000;
/** Head start of the current path over the others, ms. */
const HEAD_START_MS = 150;

/**
 * The destination in the view of the source's mover: its agent, which knows its mover's address, and that mover, over
 * one of the paths to the host. Calls are repeated at a new address after the mover was replaced, and over another
 * path if the current one is dead.
 */
export class DestinationPeer {
  readonly #name: string;
  readonly #paths: readonly NetworkPath[];
  readonly #reach: Reach | undefined;
  #path: NetworkPath;
  readonly #askKernel: AskKernel | undefined;
  readonly #lookAtPath: LookAtPath | undefined;
  #moverAddress: string | undefined;
  /** The mover of this admission has never answered; a firewall may close its port. */
  #isUnheard = false;
  #isShut = false;

  /**
   * `addresses`: of its agent, the main one first. Without `reach` no path counts as dead, and without `askKernel` no
   * port as closed.
   */
  constructor(
    name: string,
    addresses: readonly string[],
    connect: Connect,
    around: Pick<Surroundings, 'reach' | 'askKernel' | 'lookAtPath'> = {},
  ) {
    this.#name = name;
    this.#askKernel = around.askKernel;
    this.#lookAtPath = around.lookAtPath;
    this.#paths = addresses.map((each, index) => new NetworkPath(name, each, index === 0, connect));
    this.#reach = around.reach;
    this.#path = this.#first();
  }

  #first(): NetworkPath {
    const [main] = this.#paths;
    if (main === undefined)
      throw godwitError('GODWIT_INTERNAL', { what: 'a host without address' });
    return main;
  }

  async admit(admission: Admission, signal: AbortSignal): Promise<AdmissionAnswer> {
    const ask = (api: AgentApi): Promise<AdmissionGrant> =>
      api.admit({ body: admission }, { signal, deadlineMs: 30_000 });
    const path = this.#look(signal);
    path.catch(() => {});
    const askedMs = systemClock.wallMs();
    if (this.#paths.length > 1) await this.choose(signal);
    const admitted = await this.#watched(signal, (path) => ask(path.agent()));
    this.#moverAddress = admitted.moverAddress;
    this.#isUnheard = true;
    return { ...admitted, askedMs, answeredMs: systemClock.wallMs(), path: await path };
  }

  resume(moverAddress: string): void {
    this.#moverAddress ??= moverAddress;
  }

  async locate(id: string, signal: AbortSignal): Promise<boolean> {
    if (this.#moverAddress !== undefined) return true;
    try {
      this.#moverAddress = await this.#ask(id, signal);
      return true;
    } catch (thrown) {
      if (hasCode(thrown, 'GODWIT_MIGRATION_UNKNOWN')) return false;
      throw thrown;
    }
  }

  /** A different address means a different mover. */
  get moverAddress(): string | undefined {
    return this.#moverAddress;
  }

  get addresses(): readonly string[] {
    return this.#paths.map(({ address }) => address);
  }

  get byRelay(): boolean {
    return this.addresses.every((address) => rendezvousOf(address) !== undefined);
  }

  get known(): boolean {
    return this.#moverAddress !== undefined;
  }

  get address(): string {
    return this.#path.address;
  }

  async #look(signal: AbortSignal): Promise<PathLook> {
    const { address } = this.#path;
    const api = this.#path.agent();
    const question = (within: AbortSignal): Promise<unknown> =>
      api.linkProbe({ body: { pad: '' } }, { signal: within, deadlineMs: SHUT_MS });
    return (await this.#lookAtPath?.(address, question, signal)) ?? {};
  }

  /** Opens a spare connection, or keeps it open, so that the blackout has no handshake. */
  async warm(signal: AbortSignal): Promise<void> {
    if (this.#moverAddress !== undefined)
      await this.#path.mover(this.#moverAddress).warm(1, { signal });
  }

  /** True if the current path, or the path to one of the destination's addresses, is open now. */
  async answers(signal: AbortSignal, timeoutMs = REACH_MS, address?: string): Promise<boolean> {
    const target = address === undefined ? this.#path.address : this.#agentAt(address);
    return (await this.#reach?.(target, timeoutMs, signal)) ?? true;
  }

  #agentAt(address: string): string {
    const { host } = splitAddress(address);
    const path = this.#paths.find((each) => splitAddress(each.address).host === host);
    return path?.address ?? withHost(this.#first().address, host);
  }

  /** Changes to the first path that answers, with preference for the current one; false if none does. */
  async choose(signal: AbortSignal): Promise<boolean> {
    const reach = this.#reach;
    if (reach === undefined) return true;
    const others = this.#paths.filter((path) => path !== this.#path);
    const tries = [this.#path, ...others].map(async (path, index) => {
      if (index > 0) await systemClock.sleep(HEAD_START_MS * index, signal);
      if (await reach(path.address, REACH_MS, signal)) return path;
      throw this.#silent(path);
    });
    try {
      this.#path = await Promise.any(tries);
      return true;
    } catch {
      signal.throwIfAborted();
      return false;
    }
  }

  /**
   * Calls the destination's mover. While it is unreachable, tries other paths and asks the agent for its address,
   * until the signal aborts.
   */
  async call<T>(id: string, signal: AbortSignal, ask: Question<T>): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#isShut) await this.#refuseShut(signal);
      try {
        const answer = await this.#watched(signal, (path) =>
          ask(this.#api(path), (moverAddress) => path.route(moverAddress)),
        );
        this.#isUnheard = false;
        return answer;
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        if (!isUnreachable(thrown)) {
          this.#isUnheard = false;
          throw thrown;
        }
      }
      await this.#refuseShut(signal);
      await systemClock.sleep(RETRY_MS, signal);
      if (this.#paths.length > 1) await this.choose(signal);
      await this.#relocate(id, signal);
    }
  }

  /**
   * Rejects, from the first question on, if the host answers but its mover's port is closed, which does not heal by
   * itself. A mover that has answered once is waited for.
   */
  async #refuseShut(signal: AbortSignal): Promise<void> {
    const [path, stated, reach] = [this.#path, this.#moverAddress, this.#reach];
    const ask = this.#askKernel;
    if (!this.#isUnheard || stated === undefined) return;
    if (reach === undefined || ask === undefined) return;
    const address = path.route(stated);
    if (rendezvousOf(path.address) !== undefined || rendezvousOf(address) !== undefined) return;
    const isShut = async (): Promise<boolean> => {
      const { what } = await ask(address, SHUT_MS, signal);
      return what === 'silence' || what === 'unreachable';
    };
    if (!(await isShut()) || !(await reach(path.address, REACH_MS, signal))) return;
    // The link may have returned between the two.
    if (!(await isShut())) return;
    this.#isShut = true;
    const { port } = splitAddress(address);
    const reason = `its host answers at ${path.address}, and nothing comes back from port ${port}, where its mover listens`;
    const hint = `Let a firewall between the hosts, or of ${this.#name}, pass the TCP ports of movers: \`ports\` of its configuration, 49152 to 49407 by default.`;
    throw godwitError('GODWIT_UNREACHABLE', { peer: this.#name, address, reason }, { hint });
  }

  async once<T>(ask: (api: PeerApi) => Promise<T>): Promise<T> {
    return ask(this.#api(this.#path));
  }

  /** Asks the agent for its mover's address; the agent starts one if needed. */
  async #relocate(id: string, signal: AbortSignal): Promise<void> {
    try {
      this.#moverAddress = await this.#ask(id, signal);
    } catch (thrown) {
      // An agent that cannot start a mover now may be able to later.
      if (!isUnreachable(thrown) && !hasCode(thrown, 'GODWIT_INTERNAL')) throw thrown;
    }
  }

  async #ask(id: string, signal: AbortSignal): Promise<string> {
    const { moverAddress } = await this.#watched(signal, (path) =>
      path.agent().incoming({ params: { id } }, { signal, deadlineMs: 5000 }),
    );
    return moverAddress;
  }

  /** Asks over the current path; closes its connections if the path is or was dead. */
  async #watched<T>(signal: AbortSignal, ask: (path: NetworkPath) => Promise<T>): Promise<T> {
    const path = this.#path;
    const work = ask(path);
    if (this.#reach === undefined) return work;
    const over = new AbortController();
    const silence = this.#silence(path, AbortSignal.any([signal, over.signal]));
    silence.catch(() => {});
    try {
      return await Promise.race([work, silence]);
    } finally {
      over.abort();
      work.catch(() => {});
    }
  }

  /** Rejects once the path is dead, or alive again after an outage, which old connections notice late. */
  async #silence(path: NetworkPath, signal: AbortSignal): Promise<never> {
    for (let missed = 0; ;) {
      await systemClock.sleep(REACH_MS, signal);
      const answers = (await this.#reach?.(path.address, REACH_MS, signal)) ?? true;
      if (answers && missed === 0) continue;
      missed += 1;
      if (!answers && missed < MISSES) continue;
      path.reset();
      throw this.#silent(path);
    }
  }

  #silent({ address }: NetworkPath): Error {
    const reason = 'there is no answer over that path';
    return godwitError('GODWIT_UNREACHABLE', { peer: this.#name, address, reason });
  }

  #api(path: NetworkPath): PeerApi {
    if (this.#moverAddress === undefined) {
      throw godwitError('GODWIT_INTERNAL', {
        what: `${this.#name} has not admitted the guest yet`,
      });
    }
    return path.mover(this.#moverAddress).api;
  }

  close(): void {
    for (const path of this.#paths) path.reset();
  }
}

/** Errors that may pass: no answer, or a host that cannot write its journal. */
function isUnreachable(thrown: unknown): boolean {
  return hasCode(toGodwitError(thrown), 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE', 'GODWIT_JOURNAL');
}
