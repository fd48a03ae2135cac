import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.ts';
import type { AgentConfig } from '../config.ts';
import { godwitError } from '../errors.ts';
import type { Admission, Admitted } from '../protocol/peer/migration.ts';
import { offerOf } from '../host/wire.ts';
import { PROTOCOL_VERSIONS } from '../protocol/version.ts';
import type { Caller } from '../rpc/caller.ts';
import { guestOf, mustBeReadable } from './guests.ts';
import type { Guests } from './guests.ts';
import type { Inventory } from './inventory.ts';
import type { Peers } from './peers.ts';
import type { Migration, MigrationStore } from './store.ts';
import type { Supervisor } from './supervision.ts';
import { Mutex } from '../mutex.ts';

export interface IncomingParts {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly store: MigrationStore;
  readonly guests: Guests;
  readonly inventory: Inventory;
  readonly peers: Peers;
  readonly supervisor: Supervisor;
}

/** Ids of which this agent said that it does not know them, kept; the oldest goes first. */
const MOST_DISOWNED = 1000;

/** Lets guests of other hosts in, each with a mover of its own. */
export class Incoming {
  readonly #parts: IncomingParts;
  readonly #disowned = new Set<string>();
  readonly #mutex = new Mutex();

  constructor(parts: IncomingParts) {
    this.#parts = parts;
  }

  /** Checks for room, and resolves once the destination's mover listens. May be repeated. */
  async admit(admission: Admission, caller: Caller): Promise<Admitted> {
    checkSender(caller, admission.from);
    const migration = await this.#mutex.run(
      async () => this.#again(admission) ?? (await this.#add(admission)),
    );
    const { store } = this.#parts;
    try {
      const wire = offerOf(this.#parts.config, admission.guest, admission.from);
      return { ...(await this.#listening(migration)), wire };
    } catch (thrown) {
      if (!store.begun(migration.id)) store.drop(migration.id);
      throw thrown;
    }
  }

  /** Where its mover listens now. One is started where there is none, also to tell how an ended migration ended. */
  async where(id: string, caller: Caller): Promise<Admitted> {
    const { store, config } = this.#parts;
    if (store.get(id) === undefined) this.#disown(id);
    const migration = store.need(id);
    if (migration.request.side !== 'destination') {
      throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id, host: config.name });
    }
    checkSender(caller, migration.request.fromHost);
    return this.#listening(migration);
  }

  /**
   * To say that a migration is not known here is a promise: its source takes it that there is nothing to release, and an
   * admission that the network has kept back until now may not begin it after all.
   */
  #disown(id: string): void {
    this.#disowned.add(id);
    const [oldest] = this.#disowned;
    if (this.#disowned.size > MOST_DISOWNED && oldest !== undefined) this.#disowned.delete(oldest);
  }

  async #listening(migration: Migration): Promise<Admitted> {
    const { address } = await this.#parts.supervisor.ensure(migration);
    if (address === undefined) {
      const what = `the mover of ${migration.id} does not say where it listens`;
      throw godwitError('GODWIT_INTERNAL', { what });
    }
    return { moverAddress: address, version: PROTOCOL_VERSIONS[0] ?? 1 };
  }

  #again(admission: Admission): Migration | undefined {
    const found = this.#parts.store.get(admission.id);
    if (found === undefined) return undefined;
    const { request } = found;
    if (request.side === 'destination' && isDeepStrictEqual(request.admission, admission)) {
      return found;
    }
    throw godwitError('GODWIT_ID_REUSED', { id: admission.id });
  }

  async #add(admission: Admission): Promise<Migration> {
    const { config, clock, store, peers } = this.#parts;
    const { id, from } = admission;
    const address = peers.address(from);
    if (address === undefined) {
      const hint = `Add ${from} to \`peers\` in the configuration of ${config.name}.`;
      throw godwitError('GODWIT_HOST_UNKNOWN', { host: from }, { hint });
    }
    const further = [...peers.furtherAddresses(from)];
    const running = store.running().filter(({ request }) => request.side === 'destination');
    this.#checkLimit(running.length);
    await Promise.all([this.#checkName(admission.guest), this.#checkMemory(admission, running)]);
    // Asked last: what was said meanwhile counts too.
    if (this.#disowned.has(id))
      throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id, host: config.name });
    return store.add({
      version: 1,
      id,
      side: 'destination',
      fromHost: from,
      toHost: config.name,
      peer: { name: from, address, ...(further.length === 0 ? {} : { addresses: further }) },
      createdAt: new Date(clock.wallMs()).toISOString(),
      admission,
    });
  }

  #checkLimit(running: number): void {
    const { config } = this.#parts;
    const limit = config.limits.migrationsIn;
    if (running < limit) return;
    const what = `${config.name}, in migrations to it at once,`;
    throw godwitError('GODWIT_OVERLOADED', { what, limit });
  }

  async #checkName(guest: string): Promise<void> {
    const { config, guests, store } = this.#parts;
    mustBeReadable(store, guest);
    const coming = store.running().some((each) => guestOf(each) === guest);
    const here = coming || (await guests.list()).some(({ name }) => name === guest);
    if (here) throw godwitError('GODWIT_NAME_IN_USE', { host: config.name, guest });
  }

  /** Memory that others on their way here will take is counted in full, though part of it may be taken already. */
  async #checkMemory(admission: Admission, running: readonly Migration[]): Promise<void> {
    const { config, inventory } = this.#parts;
    const memory = await inventory.memory();
    const promised = running.reduce(
      (sum, { request }) =>
        sum + (request.side === 'destination' ? request.admission.memoryBytes : 0),
      config.limits.memoryReserveBytes,
    );
    const availableBytes = Math.max(0, memory.availableBytes - promised);
    const neededBytes = admission.memoryBytes;
    if (availableBytes >= neededBytes) return;
    throw godwitError('GODWIT_MEMORY_SHORT', {
      host: config.name,
      guest: admission.guest,
      availableBytes,
      neededBytes,
    });
  }
}

/** A host speaks for the guests that it sends itself, and for no other. */
function checkSender(caller: Caller, from: string): void {
  if (caller.role === 'agent' && caller.name === from) return;
  throw godwitError('GODWIT_ROLE_FORBIDDEN', {
    peer: caller.name,
    role: caller.role,
    action: `to send a guest of ${from}`,
    needs: `the certificate of ${from}`,
  });
}
