import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { godwitError } from '../../errors.ts';
import type { Admission, AdmissionGrant } from '../../protocol/peer/migration.ts';
import type { HostFacts } from '../../protocol/peer/host-facts.ts';
import type { PreflightAdmission, PreflightAnswer } from '../../protocol/peer/preflight.ts';
import type { DestinationMoverRequest, MoverRequest } from '../../protocol/mover/request.ts';
import type { AdmittedGuest } from '../../protocol/peer/probe.ts';
import { readJournals } from '../../host/journal/journal.ts';
import { replayDestination } from '../../migration/direct/journal.ts';
import { isEnd } from '../../protocol/public/migration.ts';
import { throwRefusal } from '../../migration/preflight/check.ts';
import type { AdmissionFacts } from '../../migration/preflight/admission.ts';
import { admissionChecks } from '../../migration/preflight/judge.ts';
import { offerOf } from '../../host/wire.ts';
import { checkSocketsBelow } from '../../protocol/socket-path.ts';
import { PROTOCOL_VERSIONS } from '../../protocol/version.ts';
import type { Caller } from '../../rpc/caller.ts';
import { guestOf, mustBeReadable, type Guests } from '../guests/guests.ts';
import type { HostLabels } from '../guests/guest-labels.ts';
import { namesIn } from '../guests/guest-snapshot.ts';
import type { Closings } from '../host/closing.ts';
import type { HostInventory } from '../host/inventory.ts';
import type { MoverProcesses } from '../processes/mover-process.ts';
import type { Peers } from '../peers.ts';
import type { Migration, MigrationStore } from './store.ts';
import type { Supervisor } from '../processes/supervision.ts';
import { Mutex } from '../../mutex.ts';
import { SingleFlight } from '../guests/single-flight.ts';

type Recovery = NonNullable<DestinationMoverRequest['recovery']>;

export interface IncomingDependencies {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly hostFacts: () => Promise<HostFacts>;
  readonly store: MigrationStore;
  readonly guests: Guests;
  readonly inventory: HostInventory;
  readonly peers: Peers;
  readonly supervisor: Supervisor;
  readonly movers: Pick<MoverProcesses, 'find'>;
  readonly closings?: Pick<Closings, 'requestFor'>;
  readonly labels?: HostLabels;
}

export interface PeersOf {
  readonly config: AgentConfig;
  readonly peers: Pick<Peers, 'address' | 'names'>;
}

const MAX_DISOWNED = 1000;
/** Minimum limit of movers that only report to one host how its ended migrations ended. */
const MAX_REPORTING = 16;
/** The mover's own port; memory gets another one later, or uses the mover. */
const MOVER_PORTS = 1;
/** At the limit, no more guests of the host are admitted. */
const MAX_HELD = 16;
const MAX_UNHEARD = 64;
const MAX_ASKED = 8;

export class Incoming {
  readonly #deps: IncomingDependencies;
  readonly #disowned = new Map<string, Set<string>>();
  readonly #reporting = new Map<string, Set<string>>();
  readonly #mutex = new Mutex();
  readonly #asking = new SingleFlight((from) => this.#hear(from));

  constructor(deps: IncomingDependencies) {
    this.#deps = deps;
  }

  /** Resolves once the destination's mover listens. May be repeated. */
  async admit(admission: Admission, caller: Caller): Promise<AdmissionGrant> {
    checkSender(caller, admission.from);
    // Outside of the mutex, so that a host that does not answer delays only itself.
    await this.#asking.read(admission.from);
    const migration = await this.#mutex.run(
      async () => this.#again(admission) ?? (await this.#add(admission)),
    );
    const { store } = this.#deps;
    try {
      const wire = offerOf(this.#deps.config, admission.guest, admission.from);
      const host = await this.#deps.hostFacts();
      return { ...(await this.#listening(migration)), wire, host };
    } catch (thrown) {
      if (!store.begun(migration.id)) store.drop(migration.id);
      throw thrown;
    }
  }

  /** Begins and keeps nothing. Throws if this host and the caller have no business with each other. */
  async judge({ admission, ports }: PreflightAdmission, caller: Caller): Promise<PreflightAnswer> {
    const { config, hostFacts } = this.#deps;
    const { guest, from } = admission;
    checkSender(caller, from);
    this.#sender(admission);
    const checks = admissionChecks(await this.#facts(admission, ports));
    const host = await hostFacts();
    return { checks, wire: offerOf(config, guest, from), host };
  }

  /** At the limit, queries the host about its oldest ended migrations; those that it ended as well may be pruned. */
  async #hear(from: string): Promise<void> {
    const { store, peers } = this.#deps;
    const unheard = store.unheard(from);
    if (unheard.length < MAX_UNHEARD) return;
    await Promise.all(
      unheard.slice(0, MAX_ASKED).map(async ({ id, request }) => {
        const answer = await peers.side(from, id);
        // A host without the migration has not learned its end: an agent that runs without its state answers the same.
        // Once its state is back it asks, and must learn whether the guest ran here.
        if (request.side !== 'destination' || !('view' in answer)) return;
        const { epoch, phase } = answer.view;
        const isOver = isEnd(phase) && phase !== 'held' && phase !== 'lost';
        if (isOver && epoch === request.admission.epoch) store.heard(id);
      }),
    );
  }

  /** Starts a mover if there is none, even to report the end of a migration. */
  async where(id: string, caller: Caller): Promise<AdmissionGrant> {
    const { store, config } = this.#deps;
    const { request: found, damage } = store.get(id) ?? {};
    // An unreadable migration may be the caller's, so it is never reported as missing.
    if (damage !== undefined) throw damage.error;
    // Another host may have the id, since migrations are listed before they begin; the caller's does not exist.
    const isAnothers = found?.side === 'destination' && found.fromHost !== caller.name;
    if (found === undefined || isAnothers) this.#disown(id, caller.name);
    if (found?.side !== 'destination' || isAnothers)
      throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id, host: config.name });
    const migration = store.need(id);
    this.#checkReporting(migration);
    return this.#listening(migration);
  }

  /**
   * "Unknown here" is a promise: the source then has nothing to release. An admission delayed by the network must not
   * begin the migration later.
   */
  #disown(id: string, to: string): void {
    const ids = this.#disowned.get(to) ?? new Set();
    this.#disowned.set(to, ids.add(id));
    const [oldest] = ids;
    if (ids.size > MAX_DISOWNED && oldest !== undefined) ids.delete(oldest);
  }

  /** Limits such movers: a host may query everything that it ever sent, and each answer takes a process. */
  #checkReporting(migration: Migration): void {
    const { store, movers, config } = this.#deps;
    const { id, request } = migration;
    if (!store.isEnded(id)) return;
    const reporting = this.#reporting.get(request.fromHost) ?? new Set();
    for (const each of reporting) {
      const known = store.get(each);
      if (known === undefined || movers.find(known) === undefined) reporting.delete(each);
    }
    this.#reporting.set(request.fromHost, reporting);
    const limit = Math.max(MAX_REPORTING, limitOfOne(this.#deps));
    if (!reporting.has(id) && reporting.size >= limit) {
      const what = `${config.name}, in ended migrations of ${request.fromHost} that are listed,`;
      throw godwitError('GODWIT_OVERLOADED', { what, limit });
    }
    reporting.add(id);
  }

  guest(id: string): AdmittedGuest {
    const { store, config } = this.#deps;
    const { request, dir } = store.need(id);
    if (request.side !== 'destination' || store.isEnded(id))
      throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id, host: config.name });
    const { guest, from } = request.admission;
    const events = readJournals(dir).destination.map(({ event }) => event);
    const preparation = replayDestination(events)?.preparation;
    if (preparation === undefined) return { guest, from };
    const nics = preparation.networks ?? [];
    return { guest, from, nics: nics.map(({ mac, addresses }) => ({ mac, addresses })) };
  }

  async #listening(migration: Migration): Promise<AdmissionGrant> {
    const { address } = await this.#deps.supervisor.ensure(migration);
    if (address === undefined) {
      const what = `the mover of ${migration.id} does not say where it listens`;
      throw godwitError('GODWIT_INTERNAL', { what });
    }
    return { moverAddress: address, version: PROTOCOL_VERSIONS[0] ?? 1 };
  }

  #again(admission: Admission): Migration | undefined {
    const found = this.#deps.store.get(admission.id);
    if (found === undefined) return undefined;
    const { request } = found;
    if (request.side === 'destination' && isDeepStrictEqual(request.admission, admission))
      return found;
    throw godwitError('GODWIT_ID_REUSED', { id: admission.id });
  }

  /** Admits a guest of a dead host, from its description, as if its host had requested it. */
  recover(admission: Admission, recovery: Recovery): Promise<Migration> {
    return this.#mutex.run(() => this.#add(admission, { recovery }));
  }

  async #add(admission: Admission, how: { readonly recovery?: Recovery } = {}): Promise<Migration> {
    const { config, clock, store, peers, labels } = this.#deps;
    const { id, from } = admission;
    store.mustBeNew(id);
    const [address, further] = [this.#sender(admission), [...peers.furtherAddresses(from)]];
    const here = labels?.isFull() ? namesIn(await this.#deps.guests.listed()) : undefined;
    throwRefusal(admissionChecks(await this.#facts(admission, MOVER_PORTS)));
    const isDisowned = this.#disowned.get(from)?.has(id);
    if (isDisowned) throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id, host: config.name });
    // Both are checked last: nothing is awaited before the record, so a closed host that reported itself empty stays
    // empty.
    const request = this.#deps.closings?.requestFor(config.name);
    if (request) throw godwitError('GODWIT_HOST_CLOSED', { host: config.name, request });
    // Recorded before the migration: one without its labels would ignore their restrictions.
    labels?.expect(id, admission.guest, admission.labels, here);
    return store.add({
      version: 1,
      id,
      side: 'destination',
      fromHost: from,
      toHost: config.name,
      peer: { name: from, address, ...(further.length === 0 ? {} : { addresses: further }) },
      createdAt: new Date(clock.wallMs()).toISOString(),
      admission,
      ...how,
    });
  }

  #sender(admission: Admission): string {
    checkSocketsBelow(this.#deps.config.stateDir, admission);
    return peerAddress(this.#deps, admission.from);
  }

  /** Held migrations count until an operator decides. */
  async #facts(admission: Admission, portsNeeded: number): Promise<AdmissionFacts> {
    const { guest, from, memoryBytes } = admission;
    const { config, guests, store, inventory, closings } = this.#deps;
    mustBeReadable(store, guest);
    const running = store.running().filter(({ request }) => request.side === 'destination');
    const [isHere, memory, freePorts] = await Promise.all([
      guests.has(guest),
      inventory.memory(),
      inventory.freePorts(config.ports),
    ]);
    // Memory of other arriving guests counts in full, though part of it may be allocated already.
    const promised = running.reduce(
      (sum, { request }) =>
        sum + (request.side === 'destination' ? request.admission.memoryBytes : 0),
      config.limits.memoryReserveBytes,
    );
    return {
      host: config.name,
      guest,
      from,
      closedFor: closings?.requestFor(config.name),
      coming: running.length,
      limit: config.limits.migrationsIn,
      comingFromOne: running.filter(({ request }) => isFrom(request, from)).length,
      limitOfOne: limitOfOne(this.#deps),
      held: this.#held(from),
      heldLimit: MAX_HELD,
      unheard: store.unheard(from).map(({ id }) => id),
      unheardLimit: MAX_UNHEARD,
      nameInUse: isHere || store.running().some((each) => guestOf(each) === guest),
      routes: admission.routes ?? [],
      routedPrefixes: config.network.routedPrefixes,
      othersRoutes: running.flatMap(({ request }) => routesIn(request)),
      availableBytes: Math.max(0, memory.availableBytes - promised),
      neededBytes: memoryBytes,
      ports: config.ports,
      freePorts,
      portsNeeded,
    };
  }

  #held(from: string): string[] {
    const { store } = this.#deps;
    const all = store.all().filter(({ request }) => isFrom(request, from));
    return all.map(({ id }) => id).filter((id) => store.progress(id).phase === 'held');
  }
}

function routesIn(request: MoverRequest): { guest: string; routes: readonly string[] }[] {
  if (request.side !== 'destination') return [];
  const { guest, routes = [] } = request.admission;
  return [{ guest, routes }];
}

function isFrom({ side, fromHost }: MoverRequest, from: string): boolean {
  return side === 'destination' && fromHost === from;
}

/** One of several peers must leave room for the others. */
export function limitOfOne({ config, peers }: PeersOf): number {
  const { migrationsIn, migrationsInFromOne } = config.limits;
  if (migrationsInFromOne !== undefined) return migrationsInFromOne;
  if (peers.names().length <= 1) return migrationsIn;
  return Math.max(1, migrationsIn - Math.ceil(migrationsIn / 4));
}

export function peerAddress({ config, peers }: PeersOf, from: string): string {
  const address = peers.address(from);
  if (address !== undefined) return address;
  const hint = `Add ${from} to \`peers\` in the configuration of ${config.name}.`;
  throw godwitError('GODWIT_HOST_UNKNOWN', { host: from }, { hint });
}

/** A host may act only for guests that it sends itself. */
export function checkSender(caller: Caller, from: string): void {
  if (caller.role === 'agent' && caller.name === from) return;
  throw godwitError('GODWIT_ROLE_FORBIDDEN', {
    peer: caller.name,
    role: caller.role,
    action: `to send a guest of ${from}`,
    needs: `the certificate of ${from}`,
  });
}
