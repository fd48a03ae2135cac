import { guestBytes, isAt, type Reservation, type World } from './facts.ts';

/**
 * Reservations are released only for a guest whose new place this look shows. An older look would not show it, and its
 * room would be promised twice.
 */
export function stillPromised(
  reservations: readonly Reservation[],
  { hosts, guests }: Pick<World, 'hosts' | 'guests'>,
): readonly Reservation[] {
  return reservations.filter(({ givenBackAtMs, guest, host }) => {
    if (givenBackAtMs === undefined) return true;
    const seenAtMs = hosts.get(host)?.seenAtMs ?? Infinity;
    return seenAtMs <= givenBackAtMs && !isAt(guests.get(guest), host);
  });
}

const promises = new WeakMap<World['reservations'], ReadonlyMap<string, readonly Reservation[]>>();

function promisedAt(reservations: World['reservations'], host: string): readonly Reservation[] {
  let known = promises.get(reservations);
  if (known === undefined) {
    known = Map.groupBy(reservations, (each) => each.host);
    promises.set(reservations, known);
  }
  return known.get(host) ?? [];
}

/** bytes promised there to guests that it does not list yet. */
export function promisedBytes({ guests, reservations }: World, host: string): number {
  return promisedAt(reservations, host)
    .filter(({ guest }) => guests.get(guest)?.at.some((each) => each.host === host) !== true)
    .reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
}

/** All bytes promised there: an arriving guest has not allocated its memory yet. */
const reservedBytes = ({ reservations }: World, host: string): number =>
  promisedAt(reservations, host).reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);

/** bytes that another guest may have there; 0 if unknown. */
export function roomBytes(world: World, host: string): number {
  const facts = world.hosts.get(host);
  if (facts === undefined) return 0;
  const promised = promisedBytes(world, host);
  const byGuests = facts.memoryBytes - guestBytes(world, host) - promised;
  const byKernel = (facts.availableBytes ?? Infinity) - reservedBytes(world, host);
  return Math.max(0, Math.min(byGuests, byKernel));
}

const arrivals = new WeakMap<World['reservations'], ReadonlyMap<string, number>>();

function comingTo(reservations: World['reservations']): ReadonlyMap<string, number> {
  const known = arrivals.get(reservations);
  if (known !== undefined) return known;
  const counts = new Map<string, number>();
  for (const { source, host } of reservations)
    if (source !== undefined) counts.set(host, (counts.get(host) ?? 0) + 1);
  arrivals.set(reservations, counts);
  return counts;
}

export function isTaken({ reservations, marks, limits }: World, host: string): boolean {
  const coming = comingTo(reservations).get(host) ?? 0;
  return coming >= (marks.get(host)?.inLimit ?? limits.inPerHost);
}
