import { moveSeconds } from './machines.ts';
import { iqr, lineThrough, mad } from './statistics.ts';
import { HISTORY, TICK_S, type WorldGuest } from './world.ts';
import type { Draft } from './draft.ts';

/** Whether a host has too much, with one more guest where one is given. */
export type Overload = (draft: Draft, guest?: WorldGuest) => boolean;

export type OverloadRule =
  | { readonly rule: 'thr'; readonly limit: number }
  | { readonly rule: 'iqr' | 'mad' | 'lr'; readonly safety: number };

/** The rule for hosts whose history is too short. */
const SHORT_HISTORY: OverloadRule = { rule: 'thr', limit: 0.7 };
const SPREAD_SAMPLES = 12;
const LINE_SAMPLES = 10;

export function overloadBy(rule: OverloadRule): Overload {
  if (rule.rule === 'thr') return (draft, guest) => loadAsked(draft, guest) > rule.limit;
  const short = overloadBy(SHORT_HISTORY);
  // Asked some hundred thousand times a day: without new memory each time.
  const room = new Float64Array(HISTORY);
  if (rule.rule === 'lr') {
    return (draft, guest) => {
      const past = historyOf(draft, guest, room);
      if (past.length < LINE_SAMPLES) return short(draft, guest);
      const line = lineThrough(past.subarray(0, LINE_SAMPLES));
      const ahead = Math.ceil(longestMove(draft, guest) / TICK_S);
      return (line.start + line.slope * (LINE_SAMPLES + ahead)) * rule.safety >= 1;
    };
  }
  const spread = rule.rule === 'iqr' ? iqr : mad;
  return (draft, guest) => {
    const past = historyOf(draft, guest, room);
    if (past.length < SPREAD_SAMPLES) return short(draft, guest);
    return loadAsked(draft, guest) > 1 - rule.safety * spread(past);
  };
}

const loadAsked = (draft: Draft, guest: WorldGuest | undefined): number =>
  (draft.asked + (guest?.requested ?? 0)) / draft.host.capacity;

/** Without the samples before the first load that was seen; one sample at least. */
function historyOf(draft: Draft, guest: WorldGuest | undefined, room: Float64Array): Float64Array {
  const past = guest === undefined ? draft.history() : draft.historyWith(guest, room);
  let length = past.length;
  while (length > 1 && past[length - 1] === 0) length -= 1;
  return past.subarray(0, length);
}

function longestMove(draft: Draft, guest: WorldGuest | undefined): number {
  let most = guest?.memoryMb ?? 0;
  for (const { memoryMb } of draft.guests) most = Math.max(most, memoryMb);
  return moveSeconds(most);
}
