import { explained } from './explained.ts';
import type { WorldGuest } from './world.ts';

/** Which guest leaves a host that has too much. `guests` are never none. */
export type Selection = (guests: readonly WorldGuest[]) => WorldGuest | undefined;

/** A random number from 0 to below 1. */
export type Draw = () => number;

/** The shortest move: the least memory. */
export const leastMemory: Selection = (guests) => least(guests, ({ memoryMb }) => memoryMb);

export const leastLoad: Selection = (guests) =>
  least(guests, ({ load, mips }) => (load * mips) / mips);

export const random =
  (draw: Draw): Selection =>
  (guests) =>
    guests[Math.floor(draw() * guests.length)];

/** The guest whose past the others explain best; by least memory where that can't be known. */
export const mostCorrelated: Selection = (guests) => {
  const shares = explained(guests.map(({ history }) => history));
  if (shares === undefined) return leastMemory(guests);
  let chosen = 0;
  let most = Number.MIN_VALUE;
  for (const [place, value] of shares.entries()) {
    if (value > most) {
      most = value;
      chosen = place;
    }
  }
  return guests[chosen];
};

function least(
  guests: readonly WorldGuest[],
  measure: (guest: WorldGuest) => number,
): WorldGuest | undefined {
  let chosen: WorldGuest | undefined;
  let smallest = Number.MAX_VALUE;
  for (const guest of guests) {
    const value = measure(guest);
    if (value < smallest) {
      smallest = value;
      chosen = guest;
    }
  }
  return chosen;
}
