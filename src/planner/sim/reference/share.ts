import type { WorldHost } from './world.ts';

/** The part of a guest that its destination feels while it moves, and what its source loses. */
const ARRIVING_SHARE = 0.1;
const LEAVING_SHARE = 0.9;

/**
 * What each guest of a host gets, MIPS, in the order of `host.guests`: what it asks for, at most one core's worth;
 * and where all of them ask for more than there is, each the same part of it, rounded down.
 */
export function share(host: WorldHost): number[] {
  const { guests, arriving, capacity, type } = host;
  let left = capacity;
  let asked = 0;
  let enough = true;
  for (const guest of guests) {
    const capped = Math.min(guest.requested, type.coreMips);
    const counted = arriving.has(guest) ? capped * ARRIVING_SHARE : capped;
    asked += counted;
    if (left >= counted) left -= counted;
    else {
      enough = false;
      left = 0;
    }
  }
  const part = enough ? 1 : capacity / asked;
  return guests.map((guest) => {
    const capped = Math.min(guest.requested, type.coreMips);
    if (enough) {
      if (arriving.has(guest)) return capped * ARRIVING_SHARE;
      return guest.moving ? capped * LEAVING_SHARE : capped;
    }
    if (arriving.has(guest)) return Math.floor(capped * ARRIVING_SHARE * part);
    return Math.floor(guest.moving ? capped * part * LEAVING_SHARE : capped * part);
  });
}
