import { defined } from '../../protocol/defined.ts';
import { isManagedRequest } from '../../protocol/mover/request.ts';
import { replayDestination } from '../../migration/direct/journal.ts';
import { MAX_LINEAGE } from '../../protocol/peer/migration.ts';
import { MAX_SEEN, type Sighting, type SightingQuery } from '../../protocol/peer/sighting.ts';
import type { DiscoveredGuest, GuestHandle } from '../../port/inventory.ts';
import type { Driver } from '../../drivers/registry.ts';
import { guestOf, mayBeOf, type Guests } from './guests.ts';
import { driverOf } from '../processes/hypervisor-life.ts';
import type { Migration, MigrationStore } from '../migrations/store.ts';

/** Journals that are read to find how a guest came here. */
const LOOKED_AT = 16;

/**
 * Copies of a guest that run or are paused here, and its migrations. For `asker`, the other host of the migration, this
 * side of that migration is left out. Other hosts see everything: an id proves nothing. GODWIT_DEADLINE if the guests
 * cannot be listed in time.
 */
export async function sightingOf(
  { guests, store, host }: { guests: Guests; store: MigrationStore; host: string },
  guest: string,
  { id, uuid, asker }: SightingQuery & { readonly asker: string },
): Promise<Sighting> {
  const migration = store.get(id);
  const isPartner = migration !== undefined && isPartnerOf(migration, asker, host);
  const own = isPartner ? handleOf(store, migration) : undefined;
  const isOwn = await ownOf(guests.drivers, own);
  const found = await guests.look();
  const copies = found
    .filter(({ info }) => info.name === guest || (uuid !== undefined && info.uuid === uuid))
    .filter((each) => !isOwn(each))
    .map(({ info }) => ({
      state: info.state,
      ...defined({ uuid: info.uuid }),
    }));
  const moves = store
    .all()
    .filter((each) => !(isPartner && each.id === id) && mayBeOf(each, guest))
    .map(({ id: other, request }) => ({
      id: other,
      side: request.side,
      from: request.fromHost,
      to: request.toHost,
      createdAt: request.createdAt,
      lineage: [...lineageIn({ request })],
      ...(store.isEnded(other) ? { ended: true } : {}),
      runsAt: store.runsAt(other),
    }));
  return {
    host,
    storeSince: store.since,
    copies: copies.slice(0, MAX_SEEN),
    moves: mostTelling(moves, id),
  };
}

/** Migrations that count at any age come first, then the newest, so that the cut entries decide nothing. */
export function mostTelling(moves: Sighting['moves'], id: string): Sighting['moves'] {
  const counts = ({ ended, runsAt, lineage }: Sighting['moves'][number]): boolean =>
    ended !== true || runsAt === 'unknown' || lineage.includes(id);
  const newest = moves.toSorted((one, other) => other.createdAt.localeCompare(one.createdAt));
  const first = newest.filter((move) => counts(move));
  return [...first, ...newest.filter((move) => !counts(move))].slice(0, MAX_SEEN);
}

/** A recovery has no partner, because the dead host has no record of it. */
function isPartnerOf({ request }: Migration, asker: string, host: string): boolean {
  if (asker === host) return true;
  if (request.side === 'source') return asker === request.toHost;
  return request.recovery === undefined && asker === request.fromHost;
}

/**
 * Tells whether a found guest is the migration's own hypervisor. A hypervisor that may be dead hides no copy: another
 * process may have its pid.
 */
async function ownOf(
  drivers: readonly Driver[],
  own: GuestHandle | undefined,
): Promise<(found: DiscoveredGuest) => boolean> {
  const driver = driverOf(drivers, own);
  if (own === undefined || driver === undefined) return () => false;
  if ((await driver.life(own)).state !== 'alive') return () => false;
  const { pid } = driver.describe(own);
  return ({ handle, info }) =>
    handle === undefined ? pid !== undefined && info.pid === pid : isSame(drivers, own, handle);
}

function handleOf(store: MigrationStore, { id, request }: Migration): GuestHandle | undefined {
  if (request.side === 'source') return request.handle;
  try {
    return replayDestination(store.journals(id).destination.map(({ event }) => event))?.handle;
  } catch {
    return undefined;
  }
}

function lineageIn({ request }: Pick<Migration, 'request'>): readonly string[] {
  if (isManagedRequest(request)) return [];
  const { lineage } = request.side === 'source' ? request : request.admission;
  return lineage ?? [];
}

export function arrivalOf(
  { store, drivers }: { store: MigrationStore; drivers: readonly Driver[] },
  handle: GuestHandle,
): Migration | undefined {
  return store
    .all()
    .filter((each) => each.request.side === 'destination' && guestOf(each) === handle.name)
    .slice(-LOOKED_AT)
    .findLast((each) => isSame(drivers, handleOf(store, each), handle));
}

/** The migrations that brought a guest here, newest first; empty if it was started here. */
export function lineageOf(
  deps: { store: MigrationStore; drivers: readonly Driver[] },
  handle: GuestHandle,
): string[] {
  const came = arrivalOf(deps, handle);
  return came === undefined ? [] : [came.id, ...lineageIn(came)].slice(0, MAX_LINEAGE);
}

function isSame(
  drivers: readonly Driver[],
  left: GuestHandle | undefined,
  right: GuestHandle,
): boolean {
  if (left?.driver !== right.driver) return false;
  return driverOf(drivers, right)?.isSame(left, right) === true;
}
