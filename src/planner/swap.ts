import { canRun, objection, type CpuRoom } from './constraints.ts';
import type { Place, Seat } from './fleet.ts';
import { shortfall } from './shortfall.ts';

export interface SwapWorth {
  readonly gain: number;
  readonly cost: number;
  readonly net: number;
}

/** A guest leaves an overloaded host in exchange for a smaller one. */
export interface Swap extends SwapWorth {
  readonly away: Seat;
  readonly back: Seat;
}

export interface SwapSearch {
  /** Room kept at the host that gets the larger guest. */
  readonly room: CpuRoom;
  readonly budget: { pairs: number };
  readonly mayMove: (seat: Seat) => boolean;
  readonly nowOf: (seat: Seat) => number;
  readonly nowAt: (place: Place) => number;
  /** Worth of reducing the shortage by `saved` and the host's present demand by `less`. */
  readonly worthOf: (swap: { away: Seat; back: Seat; saved: number; less: number }) => SwapWorth;
}

/**
 * The swap with the best ratio of gain to cost, of those examined within the budget. Both guests count on both hosts,
 * so that the moves may run in either order.
 */
export function bestSwap(
  from: Place,
  others: Iterable<Place>,
  search: SwapSearch,
): Swap | undefined {
  let best: Swap | undefined;
  for (const to of others) {
    if (to === from || to.seats.length === 0) continue;
    for (const away of from.seats) {
      if (search.budget.pairs <= 0) return best;
      if (!search.mayMove(away) || !canRun(away, to) || objection(away, to) !== undefined) continue;
      for (const back of to.seats) {
        if (search.budget.pairs <= 0) return best;
        search.budget.pairs -= 1;
        const swap = swapOf(away, back, search);
        if (swap !== undefined && (best === undefined || swap.net > best.net)) best = swap;
      }
    }
  }
  return best;
}

function swapOf(away: Seat, back: Seat, search: SwapSearch): Swap | undefined {
  const { room, mayMove, nowOf, nowAt, worthOf } = search;
  const [from, to] = [away.at, back.at];
  const mean = away.expected.mean - back.expected.mean;
  const less = nowOf(away) - nowOf(back);
  if (mean <= 0 || less <= 0) return undefined;
  const most = to.host.cpu * room.share;
  const variance = away.expected.variance - back.expected.variance;
  const need = to.mean + mean + room.z * Math.sqrt(Math.max(0, to.variance + variance));
  if (need > most || nowAt(to) + less > most) return undefined;
  if (!mayMove(back) || !canRun(back, from) || objection(back, from) !== undefined)
    return undefined;
  const saved =
    lossOf(from, 0, 0) +
    lossOf(to, 0, 0) -
    lossOf(from, -mean, -variance) -
    lossOf(to, mean, variance);
  const worth = worthOf({ away, back, saved, less });
  return worth.net < 0 ? undefined : { away, back, ...worth };
}

const lossOf = (place: Place, mean: number, variance: number): number =>
  shortfall(place.mean + mean, place.variance + variance, place.host.cpu);
