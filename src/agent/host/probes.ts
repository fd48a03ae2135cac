import { networkInterfaces } from 'node:os';
import type { Clock } from '../../clock.ts';
import { configFileOf, loadAgentConfig, type AgentConfig } from '../../config.ts';
import { liveFile } from '../../system/files/live-file.ts';
import {
  notWatched,
  wrongManagedWatch,
  wrongWatch,
  type OwnKnowledge,
} from '../../network/probe/allowed.ts';
import { configuredOf } from '../../network/probe/choose.ts';
import { defined } from '../../protocol/defined.ts';
import { splitAddress } from '../../protocol/names.ts';
import { removeProbePort, removeWatchPorts } from '../../network/segment/probe-port.ts';
import type {
  AdmittedGuest,
  LaterAnswer,
  WatchAnswer,
  WatchEnd,
  WatchOrder,
  WatchResult,
} from '../../protocol/peer/probe.ts';
import type { Caller } from '../../rpc/caller.ts';
import { LaterWatches, type ArrivedGuest } from './later-watches.ts';
import {
  watcherProcess,
  type StartWatcher,
  type WatcherProcess,
} from '../processes/watcher-process.ts';

const MAX_WATCHES = 8;
const MAX_EACH = 6;
const MAX_RESULTS = 16;

export interface Others {
  readonly admittedGuest: (to: string, id: string) => Promise<AdmittedGuest>;
  readonly addresses: () => readonly string[];
}

export class GuestProbes {
  readonly #config: AgentConfig;
  readonly #clock: Clock;
  readonly #others: Others;
  /** Current settings: addresses of guests are added while the agent runs. */
  readonly #network: () => AgentConfig['network'];
  readonly #start: StartWatcher;
  readonly #watches = new Map<string, ArrivedGuest & { readonly process: WatcherProcess }>();
  readonly #later: LaterWatches;
  readonly #results = new Map<string, Promise<WatchResult>>();

  constructor(
    config: AgentConfig,
    clock: Clock,
    others: Others,
    start: StartWatcher = watcherProcess,
  ) {
    this.#config = config;
    this.#clock = clock;
    this.#others = others;
    this.#later = new LaterWatches(config.name);
    const file = configFileOf(config);
    const live = file === undefined ? file : liveFile(file, () => loadAgentConfig(file).network);
    this.#network = () => live?.() ?? config.network;
    this.#start = start;
  }

  /** Removes ports left by the watches of an agent that was killed. */
  async sweep(): Promise<void> {
    const { network, ordersBySocket } = this.#config;
    // A manager's agent has no watches; ports here belong to the agent of its controller's host.
    if (network.probe !== 'off' && !ordersBySocket) await removeWatchPorts();
  }

  /**
   * Begins or continues a watch once the destination has confirmed the guest and its addresses. GODWIT_PROTOCOL_INVALID
   * if the order names anything else; GODWIT_MIGRATION_UNKNOWN if nothing was admitted.
   */
  async watch(order: WatchOrder, caller: Caller): Promise<WatchAnswer> {
    const { name, network } = this.#config;
    if (network.probe === 'off') return no(`${name} watches for nobody, as it is configured`);
    const key = keyOf(order.id, caller);
    if (this.#results.has(key)) return this.#goesOn();
    const standing = this.#watches.get(key);
    if (standing === undefined) {
      const why = await this.#why(order, caller);
      return why === undefined ? this.#begin(order, caller) : no(why);
    }
    // An unconfirmed watch ends with its lease: the destination may be away, or the migration just over. The answer
    // does not wait for the confirmation, because the source derives this host's clock from the duration of the call.
    this.#why(order, caller).then(
      (why) => why === undefined && standing.process.stay(order.leaseMs),
      () => undefined,
    );
    return this.#goesOn();
  }

  #goesOn(): WatchAnswer {
    return { watching: true, wallMs: this.#clock.wallMs() };
  }

  /**
   * Undefined if the destination confirms the order; else the reason why it cannot yet. Rejects with the reason if it
   * never will.
   */
  async #why(order: WatchOrder, caller: Caller): Promise<string | undefined> {
    if (order.managed === true) {
      const against = wrongManagedWatch(caller.name, order, this.#knowledge(order.guest));
      if (against === undefined || typeof against === 'string') return against;
      throw against;
    }
    const { to } = order;
    if (to === undefined) throw notWatched(caller.name, order.guest, 'it names no destination');
    const admitted = await this.#others.admittedGuest(to, order.id);
    const isUndescribed = admitted.nics === undefined && admitted.from === caller.name;
    if (isUndescribed) return `${to} has not heard of its addresses yet`;
    const wrong = wrongWatch(caller.name, order, admitted, this.#knowledge(order.guest));
    if (wrong !== undefined) throw wrong;
    return undefined;
  }

  addressesOf(guest: string): readonly string[] {
    const { probe } = this.#network();
    return probe === 'off' ? [] : configuredOf(probe.addresses, guest);
  }

  #knowledge(guest: string): OwnKnowledge {
    const { address, addresses } = this.#config;
    const all = [address, ...addresses, ...this.#others.addresses()];
    const hosts = all.map((each) => splitAddress(each).host);
    const own = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    return {
      configured: this.addressesOf(guest),
      hosts: [...hosts, ...own.map((each) => each.address)],
    };
  }

  #begin(order: WatchOrder, caller: Caller): WatchAnswer {
    const { name, bridges } = this.#config;
    const key = keyOf(order.id, caller);
    if (this.#watches.has(key) || this.#results.has(key)) return this.#goesOn();
    const ofCaller = [...this.#watches.keys()].filter((each) => isOf(each, caller)).length;
    if (ofCaller >= MAX_EACH)
      return no(`${name} watches ${MAX_EACH} guests for ${caller.name} already`);
    if (this.#watches.size >= MAX_WATCHES)
      return no(`${name} watches ${MAX_WATCHES} guests already`);
    const { guest, nics, probing, leaseMs, leastIntervalMs } = order;
    const addresses = order.managed === true ? [...this.addressesOf(guest)] : undefined;
    this.#later.movesAgain(guest, caller.name);
    const process = this.#start({
      verb: 'watch',
      owner: key,
      nics,
      bridges,
      probing,
      leaseMs,
      ...defined({ addresses, leastIntervalMs }),
    });
    this.#watches.set(key, { guest, to: order.to, process });
    void process.gone.then(async () => {
      this.#watches.delete(key);
      this.#keep(key, process.result, caller);
      await removeProbePort(key, 'w');
    });
    return this.#goesOn();
  }

  /** Ends a watch and returns its result, again if it was reported before. On request the guest is probed further. */
  async end(id: string, of: WatchEnd, caller: Caller): Promise<WatchResult> {
    const key = keyOf(id, caller);
    const known = this.#results.get(key);
    if (known !== undefined) {
      if (of.laterMs === undefined) this.#later.stop(key, 'its migration came to nothing');
      return known;
    }
    const standing = this.#watches.get(key);
    if (standing === undefined) return { notTried: 'nothing was being watched there any more' };
    const result = this.#ended(key, standing, of);
    this.#keep(key, result, caller);
    return result;
  }

  async #ended(
    key: string,
    { process, ...arrived }: ArrivedGuest & { readonly process: WatcherProcess },
    { laterMs, ...of }: WatchEnd,
  ): Promise<WatchResult> {
    if (laterMs === undefined) return process.end(of);
    const goesNot = this.#later.take(key, arrived, process);
    if (goesNot !== undefined) return { ...(await process.end(of)), goesNot };
    this.#watches.delete(key);
    const result = await process.end({ ...of, laterMs });
    if (result.goesOnMs === undefined) this.#later.leave(key);
    return result;
  }

  /** After a guest is admitted here, this host's observations of it belong to the new migration. */
  async comesHere<T>(
    { guest, from }: { readonly guest: string; readonly from: string },
    admission: Promise<T>,
  ): Promise<T> {
    const admitted = await admission;
    this.#later.movesAgain(guest, from);
    return admitted;
  }

  later(id: string, caller: Pick<Caller, 'name'>): LaterAnswer {
    return this.#later.of(keyOf(id, caller));
  }

  /** A host with many watches loses only its own results. */
  #keep(key: string, result: Promise<WatchResult>, caller: Caller): void {
    if (!this.#results.has(key)) this.#results.set(key, result);
    const own = [...this.#results.keys()].filter((each) => isOf(each, caller));
    const [oldest] = own;
    if (own.length > MAX_RESULTS && oldest !== undefined) this.#results.delete(oldest);
  }

  close(): void {
    for (const { process } of this.#watches.values()) process.stop();
    this.#later.close();
  }
}

const no = (why: string): WatchAnswer => ({ watching: false, why });

/** Contains the caller's name, so that a host reaches only its own migrations. */
function keyOf(id: string, caller: Pick<Caller, 'name'>): string {
  return `${caller.name}/${id}`;
}

function isOf(key: string, caller: Caller): boolean {
  return key.startsWith(`${caller.name}/`);
}
