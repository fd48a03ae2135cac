import { costOf } from './cost.ts';
import type { Place, Seat } from './fleet.ts';
import type { Budget, PlannerGuest } from './inventory.ts';

/** What a guest loses while it moves, as a share of what it asks for. */
const LOST_MOVING = 0.1;
/** Beside that, a move counts as if its guest was paused for so long, s: nobody likes moves. */
const STANDSTILL_S = 10;
/** Each move that a guest had within a day makes the next one so many times as dear. */
const AGAIN = 8;
const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;

/** How often it has moved within a day. */
export const recentMoves = ({ guest }: Seat): number =>
  (guest.left ?? []).filter(({ secondsAgo }) => secondsAgo < DAY_S).length;

/** Processor-seconds that the move of a guest costs. */
export function movingCost(seat: Seat, from: Place, to: Place): number {
  const { seconds, downtimeMs } = costOf(seat.guest, from.host, to.host);
  const moving = seat.expected.mean * (LOST_MOVING * seconds + downtimeMs / 1000 + STANDSTILL_S);
  return moving * AGAIN ** recentMoves(seat);
}

/** What this plan may still do, after what was done in the last hour. */
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
