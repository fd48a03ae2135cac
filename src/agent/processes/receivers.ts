import { isManaged, type Driver } from '../../drivers/registry.ts';
import { diskSocket, memorySocket, type MemorySockets } from '../../port/managed.ts';
import { godwitError } from '../../errors.ts';
import { whyNoSockets } from '../../port/memory-sockets.ts';
import {
  forgetReceiver,
  receiverName,
  recordedReceivers,
  removeSockets,
} from '../../host/journal/receiver-records.ts';
import { offerOf } from '../../host/wire.ts';
import type { Log } from '../../log.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { ReceiverOrder } from '../../protocol/mover/receiver.ts';
import type {
  receiverRoutes,
  Receiver,
  ReceiverOffer,
  ReceiverRequest,
} from '../../protocol/peer/receiver.ts';
import type { Caller } from '../../rpc/caller.ts';
import type { Handlers } from '../../rpc/server.ts';
import { checkSender, limitOfOne, peerAddress, type PeersOf } from '../migrations/incoming.ts';
import type { ReceiverProcess, StartReceiver } from './receiver-process.ts';
import type { MigrationStore } from '../migrations/store.ts';
import { Turns } from '../turns.ts';

/** Time that an opening waits for an earlier one of its migration, ms. The source waits for the same time. */
const TURN_MS = 15_000;

export interface ReceiversDependencies extends PeersOf {
  readonly store: Pick<MigrationStore, 'get'>;
  readonly drivers: readonly Driver[];
  readonly log: Log;
  readonly startReceiver?: StartReceiver | undefined;
}

export class Receivers {
  readonly #deps: ReceiversDependencies;
  readonly #running = new Map<
    string,
    { readonly from: string; readonly process: ReceiverProcess }
  >();
  /** Receivers by name: an opening replaces an earlier receiver, so the earlier opening must have finished. */
  readonly #turns = new Turns();

  constructor(deps: ReceiversDependencies) {
    this.#deps = deps;
  }

  async offer(
    { guest, from, driver }: Pick<ReceiverRequest, 'guest' | 'from' | 'driver'>,
    caller: Caller,
    signal: AbortSignal,
  ): Promise<ReceiverOffer> {
    checkSender(caller, from);
    peerAddress(this.#deps, from);
    const wire = offerOf(this.#deps.config, guest, from);
    const sockets = this.#socketsOf(driver);
    if (typeof sockets === 'string') return { wire, why: sockets };
    const why = await whyNoSockets(sockets, from, signal);
    return why === undefined ? { wire, place: sockets.place, disks: true } : { wire, why };
  }

  /**
   * GODWIT_CAPABILITY if this host has none, GODWIT_OVERLOADED if it has too many, GODWIT_HOST_UNKNOWN if the source is
   * not a peer, GODWIT_ID_REUSED if the id belongs to another kind of migration here.
   */
  async open(request: ReceiverRequest, caller: Caller, signal: AbortSignal): Promise<Receiver> {
    const { id, from } = request;
    checkSender(caller, from);
    peerAddress(this.#deps, from);
    if (this.#deps.store.get(id) !== undefined) throw godwitError('GODWIT_ID_REUSED', { id });
    const name = receiverName(request);
    const turn = {
      what: `an earlier start of the receiver for ${id}`,
      deadlineMs: TURN_MS,
      signal,
    };
    return this.#turns.run(name, turn, () => this.#open(request));
  }

  /** Removes the sockets of receivers that were killed while no agent ran. */
  sweep(): void {
    for (const record of recordedReceivers(this.#deps.config.stateDir).dead) {
      const name = receiverName(record);
      if (!this.#turns.has(name) && !this.#running.has(name)) this.#clear(record);
    }
  }

  /** A killed receiver leaves its socket, and the manager removes nothing of a broken stream. */
  #clear(gone: Pick<ReceiverOrder, 'id' | 'from' | 'socket' | 'diskSocket'>): void {
    try {
      removeSockets(gone);
      forgetReceiver(this.#deps.config.stateDir, gone);
    } catch (err) {
      this.#deps.log.warn({ err, id: gone.id }, 'receiver socket left over');
    }
  }

  async #open(request: ReceiverRequest): Promise<Receiver> {
    const { startReceiver, log } = this.#deps;
    const { id, from, driver, guest } = request;
    const sockets = this.#socketsOf(driver);
    if (typeof sockets === 'string' || startReceiver === undefined) throw noReceiver(sockets);
    const name = receiverName(request);
    await this.#endEarlier(name);
    this.#checkRoom(name, from);
    const socket = memorySocket(sockets.directory, { id, from });
    const beside = request.disks === true ? diskSocket(sockets.directory, { id, from }) : undefined;
    const started = startReceiver({ ...request, socket, diskSocket: beside });
    this.#running.set(name, { from, process: started });
    void started.gone.then(() => {
      if (this.#running.get(name)?.process !== started) return;
      this.#running.delete(name);
      this.#clear({ id, from, socket, diskSocket: beside });
    });
    const { address, session, disks } = await started.ready;
    log.info({ id, guest, from }, 'receiver waits for the memory of a guest');
    return { address, session, place: sockets.place, disks };
  }

  /** The source's mover that used it is gone. An earlier agent may have started it. */
  async #endEarlier(name: string): Promise<void> {
    const earlier = this.#running.get(name);
    earlier?.process.kill();
    await earlier?.process.gone;
    const { alive } = recordedReceivers(this.#deps.config.stateDir);
    const older = alive.find((each) => receiverName(each) === name);
    if (older !== undefined) process.kill(older.pid, 'SIGKILL');
  }

  /** Includes receivers of an earlier agent, but not `own`, which was just killed. */
  #checkRoom(own: string, from: string): void {
    const { config } = this.#deps;
    const living = new Map([...this.#running].map(([name, each]) => [name, each.from]));
    for (const each of recordedReceivers(config.stateDir).alive) {
      living.set(receiverName(each), each.from);
    }
    living.delete(own);
    const limit = config.limits.migrationsIn;
    if (living.size >= limit) {
      throw godwitError('GODWIT_OVERLOADED', { what: `${config.name}, in receivers,`, limit });
    }
    const limitOfFrom = limitOfOne(this.#deps);
    if ([...living.values()].filter((each) => each === from).length >= limitOfFrom) {
      const what = `${config.name}, in receivers for ${from},`;
      throw godwitError('GODWIT_OVERLOADED', { what, limit: limitOfFrom });
    }
  }

  /** A string explains why there are none. */
  #socketsOf(name: string): MemorySockets | string {
    const { drivers, config } = this.#deps;
    const found = drivers.find((each) => each.name === name);
    const sockets = found === undefined || !isManaged(found) ? undefined : found.memorySockets;
    return sockets ?? `${config.name} has no driver ${name} whose manager takes memory by a socket`;
  }
}

function noReceiver(why: MemorySockets | string): Error {
  const reason = typeof why === 'string' ? why : 'this agent opens no receivers';
  return godwitError('GODWIT_CAPABILITY', { what: 'to receive over the wire', reason });
}

export interface ReceiverHandlerDependencies {
  readonly receivers: Receivers;
}

export function receiverHandlers({
  receivers,
}: ReceiverHandlerDependencies): Pick<Handlers<typeof agentContract>, keyof typeof receiverRoutes> {
  return {
    offerReceiver: ({ query, caller, signal }) => receivers.offer(query, caller, signal),
    openReceiver: ({ body, caller, signal }) => receivers.open(body, caller, signal),
  };
}
