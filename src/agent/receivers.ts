import { rm } from 'node:fs/promises';
import type { AgentConfig } from '../config.ts';
import { isManaged } from '../drivers/registry.ts';
import type { Driver } from '../drivers/registry.ts';
import { memorySocket } from '../drivers/port/managed.ts';
import type { MemorySockets } from '../drivers/port/managed.ts';
import { godwitError } from '../errors.ts';
import { whyNoSockets } from '../host/memory-sockets.ts';
import { offerOf } from '../host/wire.ts';
import type { Log } from '../log.ts';
import { Mutex } from '../mutex.ts';
import type { agentContract } from '../protocol/contract.ts';
import type { receiverRoutes } from '../protocol/peer/receiver.ts';
import type { Receiver, ReceiverOffer, ReceiverRequest } from '../protocol/peer/receiver.ts';
import type { Caller } from '../rpc/caller.ts';
import type { Handlers } from '../rpc/server.ts';
import { checkSender } from './incoming.ts';
import type { ReceiverProcess, StartReceiver } from './receiver-process.ts';

export interface ReceiversParts {
  readonly config: AgentConfig;
  readonly drivers: readonly Driver[];
  readonly log: Log;
  /** Absent: this agent opens none. */
  readonly startReceiver?: StartReceiver | undefined;
}

/** The destination's ends of the wire for guests that their managers move, one for each migration. */
export class Receivers {
  readonly #parts: ReceiversParts;
  /** By migration, those that were started by this process and have not ended. */
  readonly #running = new Map<
    string,
    { readonly from: string; readonly process: ReceiverProcess }
  >();
  readonly #mutex = new Mutex();

  constructor(parts: ReceiversParts) {
    this.#parts = parts;
  }

  /** Whether one could be opened; opens none. */
  async offer(
    { guest, from, driver }: Pick<ReceiverRequest, 'guest' | 'from' | 'driver'>,
    caller: Caller,
  ): Promise<ReceiverOffer> {
    checkSender(caller, from);
    const wire = offerOf(this.#parts.config, guest, from);
    const sockets = this.#socketsOf(driver);
    if (typeof sockets === 'string') return { wire, why: sockets };
    const why = await whyNoSockets(sockets);
    return why === undefined ? { wire, place: sockets.place } : { wire, why };
  }

  /** GODWIT_CAPABILITY where this host has none, GODWIT_OVERLOADED where it has too many. */
  async open(request: ReceiverRequest, caller: Caller): Promise<Receiver> {
    checkSender(caller, request.from);
    return this.#mutex.run(() => this.#open(request));
  }

  async #open(request: ReceiverRequest): Promise<Receiver> {
    const { startReceiver, config, log } = this.#parts;
    const { id, from, driver, guest } = request;
    const sockets = this.#socketsOf(driver);
    if (typeof sockets === 'string' || startReceiver === undefined) throw noReceiver(sockets);
    const earlier = this.#running.get(id);
    if (earlier !== undefined && earlier.from !== from) {
      throw godwitError('GODWIT_ID_REUSED', { id });
    }
    // Its source has no mover any more that could use it.
    earlier?.process.kill();
    await earlier?.process.gone;
    const limit = config.limits.migrationsIn;
    if (this.#running.size >= limit) {
      throw godwitError('GODWIT_OVERLOADED', { what: `${config.name}, in receivers,`, limit });
    }
    const socket = memorySocket(sockets.directory, id);
    const process = startReceiver({ ...request, socket });
    this.#running.set(id, { from, process });
    void process.gone.then(async () => {
      if (this.#running.get(id)?.process !== process) return;
      this.#running.delete(id);
      // One that was killed has left it, and the manager removes nothing of a stream that broke.
      await rm(socket, { force: true }).catch(() => undefined);
    });
    const { address, session } = await process.ready;
    log.info({ id, guest, from }, 'a receiver waits for the memory of a guest');
    return { address, session, place: sockets.place };
  }

  /** In words where there are none. */
  #socketsOf(name: string): MemorySockets | string {
    const { drivers, config } = this.#parts;
    const found = drivers.find((each) => each.name === name);
    const sockets = found === undefined || !isManaged(found) ? undefined : found.memorySockets;
    return sockets ?? `${config.name} has no driver ${name} whose manager takes memory by a socket`;
  }
}

function noReceiver(why: MemorySockets | string): Error {
  const reason = typeof why === 'string' ? why : 'this agent opens no receivers';
  return godwitError('GODWIT_CAPABILITY', { what: 'to receive over the wire', reason });
}

export interface ReceiverParts {
  readonly receivers: Receivers;
}

export function receiverHandlers({
  receivers,
}: ReceiverParts): Pick<Handlers<typeof agentContract>, keyof typeof receiverRoutes> {
  return {
    offerReceiver: ({ query, caller }) => receivers.offer(query, caller),
    openReceiver: ({ body, caller }) => receivers.open(body, caller),
  };
}
