import { rm } from 'node:fs/promises';
import type { AgentConfig } from '../../config.ts';
import { memorySocket } from '../../drivers/port/managed.ts';
import type { ManagedDriver } from '../../drivers/port/managed.ts';
import { godwitError, hasCode, toGodwitError } from '../../errors.ts';
import { hostCredentials } from '../../host/credentials.ts';
import { openToUser } from '../../host/memory-sockets.ts';
import { budgetOf, cacheFor, codecCores, termsFor } from '../../host/wire.ts';
import type { Log } from '../../log.ts';
import type { ManagedMoverRequest } from '../../protocol/mover/request.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { Receiver } from '../../protocol/peer/receiver.ts';
import { DEFAULT_LINK_GRACE_MS, migrationSettings } from '../../protocol/public/migration.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { WireReport } from '../../protocol/wire.ts';
import type { Api } from '../../rpc/client.ts';
import type { Wire } from '../../wire/open.ts';
import { Path } from '../direct/source/path.ts';
import type { Surroundings } from '../engine/surroundings.ts';
import { wireReport } from '../engine/wire-report.ts';
import { checkWire } from './wire-offer.ts';

/** Once the manager says that its task has ended, what is under way may take this long, ms. */
const CLOSE_MS = 3000;
const OFFER_MS = 8000;
const OPEN_MS = 15_000;
/** A manager decides who runs the guest; its receivers count no epochs. */
const EPOCH = 1;

/** What a session of the wire did; `why`: it ended by itself. */
export interface WireDone {
  readonly figures: WireReport;
  readonly why?: string;
}

export interface ManagedWireDependencies extends Required<Pick<Surroundings, 'connect' | 'wire'>> {
  readonly config: AgentConfig;
  readonly driver: Pick<ManagedDriver, 'name' | 'memorySockets'>;
  readonly request: ManagedMoverRequest;
  readonly log: Log;
}

/**
 * The wire under a manager: its daemon connects to a socket of this mover with the guest's memory, and at the destination a
 * receiver hands it on. A mover that takes over has none: the manager's stream has broken with the earlier one, and what
 * becomes of the task the manager says.
 */
export class ManagedWire {
  readonly #parts: ManagedWireDependencies;
  #open: Wire | undefined;
  #why: string | undefined;
  /** It is closed or broken off: what is heard of it from then on is its end, and nothing is opened. */
  #closing: Error | undefined;

  constructor(parts: ManagedWireDependencies) {
    this.#parts = parts;
  }

  get #socket(): string {
    const { config, driver, request } = this.#parts;
    if (driver.memorySockets === undefined) throw noPath(`${driver.name} has no sockets for it`);
    const { directory } = driver.memorySockets;
    return memorySocket(directory, { id: request.id, from: config.name });
  }

  check(signal: AbortSignal): Promise<Check> {
    const { config, driver, request } = this.#parts;
    const { guest, to } = request.request;
    const query = { guest, from: config.name, driver: driver.name };
    const ask = async () =>
      (await this.#ask((api) => api.offerReceiver({ query }, { signal, deadlineMs: OFFER_MS })))
        .answer;
    return checkWire({ sockets: driver.memorySockets, from: config.name, to, ask }, signal);
  }

  /** Makes both ends ready for the manager; nothing where they are. An error leaves nothing of it on this host. */
  async open(memoryBytes: number, signal: AbortSignal): Promise<void> {
    if (this.#open !== undefined) return;
    const { config, driver, request, wire, log } = this.#parts;
    const { guest, to } = request.request;
    const {
      linkGraceMs: graceMs = DEFAULT_LINK_GRACE_MS,
      maxBandwidth,
      timeoutMs,
    } = migrationSettings.parse(request.request);
    const terms = termsFor(config, guest, graceMs);
    const body = {
      id: request.id,
      guest,
      from: config.name,
      driver: driver.name,
      memoryBytes,
      terms,
      timeoutMs,
    };
    const user = await driver.memorySockets?.user?.(signal);
    const { answer, route, spare } = await this.#ask((api) =>
      api.openReceiver({ body }, { signal, deadlineMs: OPEN_MS }),
    );
    this.#mustMatch(answer);
    // One that a mover which was killed has left.
    await this.sweep();
    const cache = cacheFor(config, guest, terms, to);
    const budget = budgetOf(config);
    const saidBytesPerS = config.wire.rates[to];
    const opened = await wire.source(
      {
        migration: request.id,
        epoch: EPOCH,
        session: answer.session,
        peer: to,
        credentials: hostCredentials(config),
        memoryBytes,
        graceMs,
        cores: codecCores(config),
        socket: this.#socket,
        addresses: [route(answer.address)],
        spare: spare(answer.address),
        connections: config.wire.connections,
        log,
        ...(cache === undefined ? {} : { cache }),
        ...(budget === undefined ? {} : { budget }),
        ...(saidBytesPerS === undefined ? {} : { saidBytesPerS }),
        ...(maxBandwidth === undefined ? {} : { maxBytesPerS: maxBandwidth }),
      },
      signal,
    );
    opened.ended.catch((thrown: unknown) => {
      if (this.#closing !== undefined) return;
      const error = toGodwitError(thrown);
      this.#why = error.message.slice(0, 1024);
      log.warn({ error }, 'the wire is broken');
    });
    try {
      // Broken off while it was opened.
      if (this.#closing !== undefined) throw this.#closing;
      openToUser(this.#socket, user);
    } catch (thrown) {
      opened.abort(toGodwitError(thrown));
      throw thrown;
    }
    this.#open = opened;
  }

  #mustMatch({ place }: Receiver): void {
    const { driver, request } = this.#parts;
    const own = driver.memorySockets?.place ?? '';
    if (place === own) return;
    throw noPath(`${request.toHost} has its sockets in ${place}, and this host in ${own}`);
  }

  /** The manager's task has ended: lets through what is under way. Undefined where none was open. Never rejects. */
  async close(): Promise<WireDone | undefined> {
    const wire = this.#open;
    if (wire === undefined) return undefined;
    this.#closing ??= new Error('the wire is closed');
    await wire.close(CLOSE_MS);
    this.#open = undefined;
    return { figures: wireReport(wire), ...(this.#why === undefined ? {} : { why: this.#why }) };
  }

  /** Breaks off what there is. */
  abort(why: string): void {
    this.#closing ??= new Error(why);
    this.#open?.abort(new Error(why));
    this.#open = undefined;
  }

  /** Removes what an earlier mover has left of it on this host. */
  async sweep(): Promise<void> {
    await rm(this.#socket, { force: true });
  }

  /** Asks the other agent over the first of its addresses that answers. */
  async #ask<T>(question: (api: Api<typeof agentContract>) => Promise<T>): Promise<{
    readonly answer: T;
    /** The address by which what it says of itself is reached, and its others. */
    readonly route: (stated: string) => string;
    readonly spare: (stated: string) => string[];
  }> {
    const { request, connect } = this.#parts;
    const { peer, toHost } = request;
    if (peer === undefined) throw noPath(`this host knows no agent of Godwit at ${toHost}`);
    const all = [peer.address, ...(peer.addresses ?? [])];
    const paths = all.map((each, index) => new Path(peer.name, each, index === 0, connect));
    let last: unknown;
    for (const path of paths) {
      try {
        const answer = await question(path.agent());
        const others = paths.filter((each) => each !== path);
        return {
          answer,
          route: (stated) => path.route(stated),
          spare: (stated) => others.map((each) => each.route(stated)),
        };
      } catch (thrown) {
        last = thrown;
        if (!hasCode(thrown, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE')) throw thrown;
      } finally {
        path.reset();
      }
    }
    throw last;
  }
}

function noPath(reason: string): Error {
  return godwitError('GODWIT_CAPABILITY', { what: '--path wire', reason });
}
