import type { GuestInfo } from '../protocol/public/hosts/host.ts';
import { epochOf, isManagedRequest } from '../protocol/mover/request.ts';
import { completedMoves, guestOf } from './guests/guests.ts';
import type { Migration, MigrationStore } from './migrations/store.ts';

type Store = Pick<MigrationStore, 'all' | 'isEnded' | 'progress' | 'runsAt'>;

/** Lists report a guest that left for this time. Its new host has reported it by then. */
const LEFT_MS = 60_000;

/** Epoch of a guest's next move. It exceeds every earlier epoch even if the clock was set back. */
export function nextEpoch(store: Pick<Store, 'all'>, guest: string, nowMs: number): number {
  const earlier = store.all().filter((each) => guestOf(each) === guest);
  return Math.max(1, nowMs, ...earlier.map(({ request }) => epochOf(request) + 1));
}

export function departureOf(store: Store, guest: string): GuestInfo | undefined {
  const move = store.all().findLast((each) => guestOf(each) === guest && hasMoved(store, each));
  return move === undefined ? undefined : leftBy(move);
}

export function departures(store: Store, here: ReadonlySet<string>, nowMs: number): GuestInfo[] {
  return [...completedMoves(store)].flatMap(([guest, move]) => {
    if (here.has(guest) || !isNew(store, move, nowMs)) return [];
    return leftBy(move) ?? [];
  });
}

function hasMoved(store: Store, { id, request }: Migration): boolean {
  if (store.runsAt(id) === 'destination') return true;
  return isManagedRequest(request) && !store.isEnded(id);
}

function isNew(store: Store, { id, request: { createdAt } }: Migration, nowMs: number): boolean {
  if (!store.isEnded(id)) return true;
  return nowMs - Date.parse(createdAt) - store.progress(id).elapsedMs < LEFT_MS;
}

function leftBy({ id, request }: Migration): GuestInfo | undefined {
  if (request.side !== 'source' || request.fromHost === request.toHost) return undefined;
  const { fromHost: from, toHost: to, handle, memoryBytes, uuid } = request;
  const direct = isManagedRequest(request) ? {} : { vcpus: request.vcpus, labels: request.labels };
  return {
    name: request.request.guest,
    host: from,
    driver: handle.driver,
    state: 'unknown',
    uuid,
    memoryBytes,
    ...direct,
    nics: [],
    devices: [],
    unmovable: [],
    migration: id,
    moving: { from, to, runsAt: 'destination', epoch: epochOf(request) },
  };
}
