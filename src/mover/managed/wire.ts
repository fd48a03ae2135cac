import { rm } from 'node:fs/promises';
import type { AgentConfig } from '../../config.ts';
import type { SourceTunnelOptions, Tunnel } from '../../disks/copy/tunnel/open.ts';
import { diskSocket, memorySocket, type ManagedDriver } from '../../port/managed.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import { hostCredentials } from '../../host/credentials.ts';
import { openToUser } from '../../port/memory-sockets.ts';
import { budgetOf, cacheFor, codecCores, termsFor } from '../../host/wire.ts';
import type { Log } from '../../log.ts';
import type { ManagedState } from '../../migration/managed/state.ts';
import { defined } from '../../protocol/defined.ts';
import type { ManagedMoverRequest } from '../../protocol/mover/request.ts';
import type { peerAgentContract } from '../../protocol/peer/agent-routes.ts';
import type { DiskLink } from '../../protocol/disk.ts';
import type { DiskTunnel } from '../../protocol/peer/migration.ts';
import type { Receiver } from '../../protocol/peer/receiver.ts';
import {
  DEFAULT_LINK_GRACE_MS,
  type Check,
  type MigrationSettings,
} from '../../protocol/public/migration.ts';
import type { WireReport, WireTerms } from '../../protocol/wire.ts';
import type { Api } from '../../rpc/client.ts';
import type { Wire } from '../../wire/open.ts';
import type { Surroundings } from '../shared/surroundings.ts';
import { diskLinkReport, wireReport } from '../shared/wire-report.ts';
import { askAgent, type RoutedAnswer } from './ask-agent.ts';
import { managedSettings } from './settings.ts';
import { checkWire, type WireAsked } from './wire-offer.ts';

/** Time for data in flight after the manager reports the task's end, ms. */
const CLOSE_MS = 3000;
const OPEN_MS = 15_000;
/** Receivers of a manager's stream count no epochs, because the manager decides who runs the guest. */
const EPOCH = 1;

/** Session figures; `why`: one ended by itself. */
export interface WireDone {
  readonly figures: WireReport;
  readonly disks?: DiskLink;
  readonly why?: string;
}

export type WireLoad = Pick<ManagedState, 'memoryBytes' | 'copies'>;

interface WireConnection {
  readonly wire: Wire;
  readonly tunnel?: Tunnel;
}

export interface ManagedWireDependencies extends Required<Pick<Surroundings, 'connect' | 'wire'>> {
  readonly tunnel: (options: SourceTunnelOptions, signal: AbortSignal) => Promise<Tunnel>;
  readonly config: AgentConfig;
  readonly driver: Pick<ManagedDriver, 'name' | 'memorySockets'>;
  readonly request: ManagedMoverRequest;
  readonly log: Log;
}

/**
 * The wire under a manager: its hypervisor connects to sockets of this mover for memory and for copied disks, and a
 * receiver at the destination passes both on. A mover that takes over has none, because the manager's stream broke
 * with the earlier mover.
 */
export class ManagedWire {
  readonly #deps: ManagedWireDependencies;
  #open: WireConnection | undefined;
  #why: string | undefined;
  /** Set once closed or aborted: nothing is opened any more. */
  #closing: Error | undefined;

  constructor(deps: ManagedWireDependencies) {
    this.#deps = deps;
  }

  get #sockets(): { readonly memory: string; readonly disks: string } {
    const { config, driver, request } = this.#deps;
    if (driver.memorySockets === undefined) throw noPath(`${driver.name} has no sockets for it`);
    const { directory } = driver.memorySockets;
    const of = { id: request.id, from: config.name };
    return { memory: memorySocket(directory, of), disks: diskSocket(directory, of) };
  }

  check(disks: boolean, signal: AbortSignal): Promise<Check> {
    const { config, driver, request } = this.#deps;
    const { guest, to } = request.request;
    const ask: WireAsked['ask'] = async (query, options) =>
      (await this.#ask((api) => api.offerReceiver({ query }, options))).answer;
    return checkWire({ driver, guest, from: config.name, to, disks, ask }, signal);
  }

  /** Prepares both ends for the manager, if they are not ready. After an error nothing stays on this host. */
  async open({ memoryBytes = 0, copies }: WireLoad, signal: AbortSignal): Promise<void> {
    if (this.#open !== undefined) return;
    const disks = copies.length > 0;
    const { config, driver, request } = this.#deps;
    const { guest } = request.request;
    const { linkGraceMs: graceMs = DEFAULT_LINK_GRACE_MS, timeoutMs } = this.#settings;
    const terms = termsFor(config, guest, graceMs);
    const of = { id: request.id, guest, from: config.name, driver: driver.name };
    const body = { ...of, memoryBytes, terms, timeoutMs, ...(disks ? { disks } : {}) };
    const user = await driver.memorySockets?.user?.(signal);
    const { answer, route, spare } = await this.#ask((api) =>
      api.openReceiver({ body }, { signal, deadlineMs: OPEN_MS }),
    );
    this.#mustMatch(answer, disks);
    // Left by a mover that was killed.
    await this.sweep();
    const end = ({ session, address }: DiskTunnel): Omit<SourceTunnelOptions, 'socket'> => ({
      ...this.#endpoint(),
      session,
      addresses: [route(address)],
      spare: spare(address),
    });
    const wire = await this.#openWire(end(answer), memoryBytes, terms, signal);
    let tunnel: Tunnel | undefined;
    try {
      this.#mind(wire);
      if (disks && answer.disks !== undefined) {
        const socket = this.#sockets.disks;
        tunnel = await this.#deps.tunnel({ ...end(answer.disks), socket }, signal);
        this.#mind(tunnel);
        openToUser(socket, user);
      }
      // Aborted during the opening.
      if (this.#closing !== undefined) throw this.#closing;
      openToUser(this.#sockets.memory, user);
    } catch (thrown) {
      for (const each of [wire, tunnel]) each?.abort(toGodwitError(thrown));
      throw thrown;
    }
    this.#open = { wire, ...defined({ tunnel }) };
  }

  get #settings(): MigrationSettings {
    const { config, request } = this.#deps;
    return managedSettings(request, config.limits, true);
  }

  #endpoint(): Omit<SourceTunnelOptions, 'socket' | 'session' | 'addresses'> {
    const { config, request, log } = this.#deps;
    const { linkGraceMs: graceMs = DEFAULT_LINK_GRACE_MS, maxBandwidth } = this.#settings;
    const budget = budgetOf(config);
    return {
      migration: request.id,
      epoch: EPOCH,
      peer: request.request.to,
      credentials: hostCredentials(config),
      graceMs,
      connections: config.wire.connections,
      log,
      ...defined({ budget, maxBytesPerS: maxBandwidth }),
    };
  }

  #openWire(
    end: Omit<SourceTunnelOptions, 'socket'>,
    memoryBytes: number,
    terms: WireTerms,
    signal: AbortSignal,
  ): Promise<Wire> {
    const { config, request, wire } = this.#deps;
    const { guest, to } = request.request;
    const cache = cacheFor(config, guest, terms, to);
    const saidBytesPerS = config.wire.rates[to];
    const more = {
      ...defined({ cache, saidBytesPerS }),
    };
    const { memory: socket } = this.#sockets;
    return wire.source({ ...end, memoryBytes, cores: codecCores(config), socket, ...more }, signal);
  }

  /** Keeps the first reason why a session ended by itself. */
  #mind({ ended }: Pick<Wire, 'ended'>): void {
    ended.catch((thrown: unknown) => {
      if (this.#closing !== undefined) return;
      const error = toGodwitError(thrown);
      this.#why ??= error.message.slice(0, 1024);
      this.#deps.log.warn({ error }, 'wire broken');
    });
  }

  #mustMatch({ place, disks }: Receiver, wantsDisks: boolean): void {
    const { driver, request } = this.#deps;
    const own = driver.memorySockets?.place ?? '';
    if (place !== own)
      throw noPath(`${request.toHost} has its sockets in ${place}, and this host in ${own}`);
    if (wantsDisks && disks === undefined)
      throw noPath(`${request.toHost} opens a path for memory alone`);
  }

  /** The manager's task has ended: delivers data in flight. Undefined if none was open. Never rejects. */
  async close(): Promise<WireDone | undefined> {
    if (this.#open === undefined) return undefined;
    const { wire, tunnel } = this.#open;
    this.#closing ??= new Error('the wire is closed');
    await Promise.all([wire.close(CLOSE_MS), tunnel?.close(CLOSE_MS)]);
    this.#open = undefined;
    return {
      figures: wireReport(wire),
      ...(tunnel === undefined ? {} : { disks: diskLinkReport(tunnel) }),
      ...defined({ why: this.#why }),
    };
  }

  abort(why: string): void {
    this.#closing ??= new Error(why);
    for (const each of [this.#open?.wire, this.#open?.tunnel]) each?.abort(new Error(why));
    this.#open = undefined;
  }

  /** Removes an earlier mover's sockets from this host. */
  async sweep(): Promise<void> {
    const { memory, disks } = this.#sockets;
    for (const each of [memory, disks]) await rm(each, { force: true });
  }

  #ask<T>(question: (api: Api<typeof peerAgentContract>) => Promise<T>): Promise<RoutedAnswer<T>> {
    const { request, connect } = this.#deps;
    const { peer, toHost } = request;
    if (peer === undefined) throw noPath(`this host knows no agent of Godwit at ${toHost}`);
    return askAgent(connect, peer, question);
  }
}

function noPath(reason: string): Error {
  return godwitError('GODWIT_CAPABILITY', { what: '--path wire', reason });
}
