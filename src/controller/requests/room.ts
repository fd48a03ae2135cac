import { guestBytes, isAt, type Reservation, type World } from './facts.ts';

/** Room at hosts: as the guests there leave it, and as it is promised to moves. */

/**
 * Without those given back for a guest that this look shows where it went. A look that is older than the end of a move
 * does not show the guest there yet, and its room would be promised once more.
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

/** By destination; made once for each list: a plan asks for those of every host of the fleet. */
function promisedAt(reservations: World['reservations'], host: string): readonly Reservation[] {
  let known = promises.get(reservations);
  if (known === undefined) {
    known = Map.groupBy(reservations, (each) => each.host);
    promises.set(reservations, known);
  }
  return known.get(host) ?? [];
}

/** bytes that are promised there and that no listed guest of it has yet. */
export function promisedBytes({ guests, reservations }: World, host: string): number {
  return promisedAt(reservations, host)
    .filter(({ guest }) => guests.get(guest)?.at.some((each) => each.host === host) !== true)
    .reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
}

/** bytes that are promised there in all: a guest that is on its way in does not have its memory from the kernel yet. */
const reservedBytes = ({ reservations }: World, host: string): number =>
  promisedAt(reservations, host).reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);

/** bytes that one more guest may have there; nothing where nobody knows. */
export function roomBytes(world: World, host: string): number {
  const facts = world.hosts.get(host);
  if (facts === undefined) return 0;
  const promised = promisedBytes(world, host);
  const byGuests = facts.memoryBytes - guestBytes(world, host) - promised;
  const byKernel = (facts.availableBytes ?? Infinity) - reservedBytes(world, host);
  return Math.max(0, Math.min(byGuests, byKernel));
}

const arrivals = new WeakMap<World['reservations'], ReadonlyMap<string, number>>();

/** Guests that are on their way to each host; counted once for each look at the fleet. */
function comingTo(reservations: World['reservations']): ReadonlyMap<string, number> {
  const known = arrivals.get(reservations);
  if (known !== undefined) return known;
  const counts = new Map<string, number>();
  for (const { source, host } of reservations)
    if (source !== undefined) counts.set(host, (counts.get(host) ?? 0) + 1);
  arrivals.set(reservations, counts);
  return counts;
}

/** Whether as many guests come to the host as may at a time. */
export function isTaken({ reservations, marks, limits }: World, host: string): boolean {
  const coming = comingTo(reservations).get(host) ?? 0;
  return coming >= (marks.get(host)?.inLimit ?? limits.inPerHost);
}
