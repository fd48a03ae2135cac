import { randomInt } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import type { DiscoveredGuest, GuestHandle } from '../../port/inventory.ts';
import { isManaged } from '../../drivers/registry.ts';
import { godwitError } from '../../errors.ts';
import { throwRefusal } from '../../migration/preflight/check.ts';
import { judgeGuest, type BusyFacts, type GuestFacts } from '../../migration/preflight/guest.ts';
import { askChecks } from '../../migration/preflight/judge.ts';
import { defined } from '../../protocol/defined.ts';
import type { SourceMoverRequest } from '../../protocol/mover/request.ts';
import type { GuestInfo } from '../../protocol/public/hosts/host.ts';
import {
  migrationRequest,
  type Check,
  type MigrationRequest,
} from '../../protocol/public/migration.ts';
import type { Returns } from '../../protocol/public/site-check.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import { checkSocketsBelow } from '../../protocol/socket-path.ts';
import { migrationOf, mustBeReadable, type Guests } from '../guests/guests.ts';
import { LinkRates, type LinkRatesDependencies } from '../host/link-rate.ts';
import type { Peers } from '../peers.ts';
import type { PredictionCache } from '../prediction/prediction-cache.ts';
import type { Migration } from './store.ts';
import { nextEpoch } from '../guest-moves.ts';
import { driverOf } from '../processes/hypervisor-life.ts';
import { lineageOf } from '../guests/sightings.ts';
import type { WorkloadFacts } from '../../migration/preflight/workload.ts';
import type { Supervisor } from '../processes/supervision.ts';
import { labelsOf, workloadOf, type KnownOfGuests } from '../guests/workload.ts';
import { Mutex } from '../../mutex.ts';
import { fullAddress } from '../../protocol/names.ts';

/** The inventory lists no more NICs of one guest. */
const MAX_NICS = 64;

export interface OutgoingDependencies extends LinkRatesDependencies, KnownOfGuests {
  readonly clock: Clock;
  readonly guests: Guests;
  readonly peers: Peers;
  readonly supervisor: Supervisor;
  readonly kept?: Pick<PredictionCache, 'take'>;
  readonly diskMoves?: {
    movingOf(guest: string): BusyFacts['diskMove'];
  };
}

export interface OutgoingGuest extends DiscoveredGuest {
  /** Address of the destination's agent; absent if a manager moves the guest without another agent. */
  readonly address: string | undefined;
  readonly checks: readonly Check[];
  readonly seen: Partial<
    Pick<
      SourceMoverRequest,
      'vcpus' | 'macs' | 'unbridged' | 'link' | 'ownMoves' | 'writtenBytesPerS'
    >
  >;
}

export class Outgoing {
  readonly links: LinkRates;
  readonly #deps: OutgoingDependencies;
  readonly #mutex = new Mutex();

  constructor(deps: OutgoingDependencies) {
    this.#deps = deps;
    this.links = new LinkRates(deps);
  }

  /**
   * Checks the request, and resolves to the id once the mover serves. The same id and request return the same answer;
   * another request is GODWIT_ID_REUSED. `returns`: the migration that it reverses. `fleetRequest`: the request that it
   * belongs to.
   */
  async start(
    asked: MigrationRequest & { id?: string | undefined },
    returns?: Returns,
    fleetRequest?: string,
  ): Promise<string> {
    const { id: given, ...rest } = asked;
    const parsed = migrationRequest.parse(rest);
    // The guest's labels applied to the way there: the devices that they name are already unplugged.
    const request = returns === undefined ? this.labelled(parsed) : parsed;
    // Measured before the last look at the guest, because nothing may be awaited between that look and the record.
    const isNew = this.#again(given, request) === undefined;
    const linkShareBandwidth = isNew ? await this.links.shareOf(request) : undefined;
    if (isNew && request.path === 'auto') await this.links.measured(request.to);
    const further = {
      ...defined({ linkShareBandwidth }),
      ...(returns && { returns }),
      ...defined({ fleetRequest }),
    };
    const migration = await this.#mutex.run(
      async () => this.#again(given, request) ?? (await this.#add(given, request, further)),
    );
    const { id } = migration;
    const { store, supervisor } = this.#deps;
    if (store.isEnded(id)) return id;
    try {
      await supervisor.ensure(migration);
    } catch (thrown) {
      if (!store.begun(id)) store.drop(id);
      // A mover that died after its first record has begun the migration; the supervisor continues it.
      else if (store.unreadable(id) === undefined) return id;
      throw thrown;
    }
    return id;
  }

  isBegun(id: string, asked: MigrationRequest): boolean {
    if (this.#again(id, this.labelled(migrationRequest.parse(asked))) !== undefined) return true;
    this.#deps.store.mustBeNew(id);
    return false;
  }

  /** Adds the devices to unplug and plug in from the guest's labels, unless the request names some. */
  labelled(request: MigrationRequest): MigrationRequest {
    const labels = labelsOf(this.#deps, request.guest);
    if (labels === undefined) return request;
    const { unplug = labels.unplug, plug = labels.plug } = request;
    return { ...request, ...(unplug && { unplug }), ...(plug && { plug }) };
  }

  #again(id: string | undefined, request: MigrationRequest): Migration | undefined {
    const found = id === undefined ? undefined : this.#deps.store.get(id);
    if (found === undefined) return undefined;
    const same =
      found.request.side === 'source' &&
      JSON.stringify(found.request.request) === JSON.stringify(request);
    if (same) return found;
    throw godwitError('GODWIT_ID_REUSED', { id: found.id });
  }

  async #add(
    given: string | undefined,
    request: MigrationRequest,
    {
      returns,
      ...share
    }: Pick<SourceMoverRequest, 'linkShareBandwidth' | 'returns' | 'fleetRequest'>,
  ): Promise<Migration> {
    const { config, clock, store, guests, labels, peers } = this.#deps;
    const id = given ?? newId(clock.wallMs());
    const { address, handle, info, seen } = await this.#checked(id, request);
    const { memoryBytes, uuid } = info;
    const common = {
      id,
      side: 'source',
      // A manager may have guests on hosts without an agent.
      fromHost: address === undefined ? info.host : config.name,
      toHost: request.to,
      createdAt: new Date(clock.wallMs()).toISOString(),
      epoch: nextEpoch(store, request.guest, clock.wallMs()),
      uuid,
      request,
      handle,
      ...share,
    } as const;
    const planned = this.#deps.kept?.take(request, handle);
    if (address === undefined) {
      const peer = receivingAgent(peers, config.name, request);
      const known = { ...(memoryBytes && { memoryBytes }), ...(peer && { peer }) };
      const managed = { ...common, version: 2, lifecycle: 'managed', ...known } as const;
      return store.add({ ...managed, ...(planned && { prediction: planned.prediction }) });
    }
    const lineage = lineageOf({ store, drivers: guests.drivers }, handle);
    return store.add({
      ...common,
      version: 1,
      peer: otherAgent(peers, request, address),
      memoryBytes: memoryBytes ?? 0,
      ...(lineage.length === 0 ? {} : { lineage }),
      labels: labels?.of(request.guest) ?? {},
      ...planned,
      ...defined({ returns }),
      ...seen,
    });
  }

  async #checked(
    id: string,
    request: MigrationRequest,
  ): Promise<OutgoingGuest & { handle: GuestHandle }> {
    this.#deps.store.mustBeNew(id);
    const found = await this.look(id, request);
    throwRefusal(found.checks);
    const { handle } = found;
    if (handle === undefined)
      throw godwitError('GODWIT_INTERNAL', { what: 'a guest without handle' });
    return { ...found, handle };
  }

  /**
   * The guest, and its own host's checks of the move. Begins nothing. The manager itself checks whether it has the
   * destination.
   */
  async look(id: string, request: MigrationRequest): Promise<OutgoingGuest> {
    const { config, clock, guests, peers, store, diskMoves } = this.#deps;
    const { guest, to } = request;
    // A manager can move a guest to another datastore of its host.
    const isStorage = request.datastore !== undefined;
    if (to === config.name && !isStorage) {
      await guests.need(guest);
      throw godwitError('GODWIT_SAME_HOST', { guest, host: to });
    }
    // A host that is not a peer is refused before the guest is queried, unless a manager may have that host.
    const mayBeManaged = guests.drivers.some((each) => isManaged(each));
    const isKnown = to === config.name || peers.address(to) !== undefined;
    if (!mayBeManaged && !isKnown) throw this.#unknownHost(to);
    checkSocketsBelow(config.stateDir, { id });
    mustBeReadable(store, guest);
    const found = await guests.need(guest);
    const { info, handle } = found;
    const driver = driverOf(guests.drivers, handle);
    const isDirect = driver === undefined || !isManaged(driver);
    if (to === info.host && (isDirect || !isStorage))
      throw godwitError('GODWIT_SAME_HOST', { guest, host: to });
    const address = isDirect ? peers.address(to) : undefined;
    if (isDirect && address === undefined) throw this.#unknownHost(to);
    if (!isDirect) receivingAgent(peers, config.name, request);
    // Read after the look: a disk move may have begun meanwhile, or the guest may be arriving.
    const checks = askChecks({
      ...takeable(found),
      driver,
      nowMs: clock.wallMs(),
      diskMove: diskMoves?.movingOf(guest),
      migration: this.#migrationOf(guest),
      ...this.workloadOf(request),
      host: config.name,
      running: store.running().filter(({ request: { side } }) => side === 'source').length,
      limit: config.limits.migrationsOut,
    });
    const seen = { ...seenOf(info), ...this.#linkTo(request, info.driver) };
    return { info, ...defined({ handle }), address, checks, seen };
  }

  workloadOf(request: MigrationRequest): WorkloadFacts {
    return workloadOf({ ...this.#deps, links: this.links }, request);
  }

  #linkTo({ to, guest }: MigrationRequest, driver: string): OutgoingGuest['seen'] {
    const link = this.links.now(to);
    const ownMoves = this.links.movesTo(to, driver);
    const { writtenBytesPerS } = this.#deps.guestLoads?.of(guest).now ?? {};
    return { link, ownMoves, writtenBytesPerS };
  }

  #unknownHost(to: string): Error {
    const { config, peers } = this.#deps;
    const near = didYouMean(to, [...peers.names(), config.name]);
    return godwitError(
      'GODWIT_HOST_UNKNOWN',
      { host: to },
      near === undefined ? {} : { hint: near },
    );
  }

  #migrationOf(guest: string): BusyFacts['migration'] {
    const { store } = this.#deps;
    const found = migrationOf(store, guest);
    if (found === undefined) return undefined;
    const { id, to, phase } = store.progress(found.id);
    return { id, to, phase };
  }
}

export function movable(guest: DiscoveredGuest): DiscoveredGuest & { handle: GuestHandle } {
  const { info, handle } = guest;
  throwRefusal(judgeGuest(takeable(guest)));
  if (!handle) throw godwitError('GODWIT_INTERNAL', { what: 'a guest without handle' });
  return { info, handle };
}

function takeable({ info, handle, hint, halted }: DiscoveredGuest): GuestFacts {
  const { name: guest, state, manager, unmovable } = info;
  return { guest, state, halted, manager, unmovable, reachable: handle !== undefined, hint };
}

/** Sorts by time; the random part prevents collisions between agents. */
export function newId(nowMs: number): string {
  const random = randomInt(36 ** 5)
    .toString(36)
    .padStart(5, '0');
  return `m-${nowMs.toString(36)}${random}`;
}

/** Facts for the destination before the guest is described, if the agent could read them. */
function seenOf({ hypervisorVersion, vcpus, nics }: GuestInfo): {
  vcpus?: number;
  macs?: string[];
  unbridged?: boolean;
} {
  if (hypervisorVersion === undefined || vcpus === undefined) return { unbridged: true };
  // A list of this length may have been truncated.
  if (nics.length >= MAX_NICS) return { vcpus, unbridged: true };
  const isUnbridged = nics.some(({ bridge }) => bridge === undefined);
  const macs = nics.map(({ mac }) => mac.toLowerCase());
  return { vcpus, macs, ...(isUnbridged && { unbridged: true }) };
}

type OtherAgent = SourceMoverRequest['peer'];
type PeerAddresses = Pick<Peers, 'address' | 'furtherAddresses'>;

/** The destination's agent as the mover reaches it, by the requested or configured paths. */
function otherAgent(
  peers: PeerAddresses,
  { to, pathAddresses }: MigrationRequest,
  address: string,
): OtherAgent {
  const given = pathAddresses ?? peers.furtherAddresses(to);
  const all = given.map((each) => fullAddress(each, address));
  const addresses = [...new Set(all)].filter((each) => each !== address);
  return { name: to, address, ...(addresses.length === 0 ? {} : { addresses }) };
}

/**
 * The agent of the guest's new host, which also has the other end of the wire; undefined if unknown. GODWIT_CAPABILITY
 * if memory needs the wire and it is unknown.
 */
function receivingAgent(
  peers: PeerAddresses,
  host: string,
  request: MigrationRequest,
): OtherAgent | undefined {
  const { to, path } = request;
  const address = peers.address(to);
  if (address !== undefined) return otherAgent(peers, request, address);
  if (path !== 'wire') return undefined;
  const reason = `${host} knows no agent of Godwit at ${to}`;
  const hint = `Leave the option out, or start an agent at ${to} and name it in \`peers\`.`;
  throw godwitError('GODWIT_CAPABILITY', { what: '--path wire', reason }, { hint });
}
