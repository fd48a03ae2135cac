import { costOf } from './cost.ts';
import type { Place, Seat } from './fleet.ts';
import type { Budget, PlannerGuest } from './inventory.ts';

/** Loss during a move, as a share of the demand. */
const LOST_MOVING = 0.1;
/** Additional penalty of a move, in s of a pause. */
const STANDSTILL_S = 10;
/** Cost factor for each of the guest's moves within a day. */
const AGAIN = 8;
const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;

export const recentMoves = ({ guest }: Seat): number =>
  (guest.left ?? []).filter(({ secondsAgo }) => secondsAgo < DAY_S).length;

export function movingCost(seat: Seat, from: Place, to: Place): number {
  const { seconds, downtimeMs } = costOf(seat.guest, from.host, to.host);
  const moving = seat.expected.mean * (LOST_MOVING * seconds + downtimeMs / 1000 + STANDSTILL_S);
  return moving * AGAIN ** recentMoves(seat);
}

/** This plan's budget after the last hour's moves. */
export function leftOf(
  guests: readonly PlannerGuest[],
  { budget = {}, perHour = {} }: { readonly budget?: Budget; readonly perHour?: Budget },
): { moves: number; bytes: number } {
  let moves = 0;
  let bytes = 0;
  for (const { left, memoryBytes } of guests) {
    if (left === undefined) continue;
    const recent = left.filter(({ secondsAgo }) => secondsAgo < HOUR_S).length;
    moves += recent;
    bytes += recent * memoryBytes;
  }
  return {
    moves: Math.min(budget.moves ?? Infinity, (perHour.moves ?? Infinity) - moves),
    bytes: Math.min(budget.bytes ?? Infinity, (perHour.bytes ?? Infinity) - bytes),
  };
}
