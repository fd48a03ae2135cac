/**
 * How the page stands with its controller. `live`: events come. `reconnecting`: they do not, since a moment, and it is
 * tried again. `lost`: so for long; what is shown is old.
 */
export type Connection =
  | { readonly state: 'connecting' }
  | { readonly state: 'live' }
  | { readonly state: 'reconnecting' | 'lost'; readonly sinceMs: number; readonly tries: number };

export type ConnectionNews = 'opened' | 'failed' | 'tick';

/** Without events for so long, a page does not claim any more that it will be back soon. */
export const LOST_AFTER_MS = 15_000;

/** No byte for so long, although a heartbeat comes each 5 s: the stream is dead, whatever its socket says. */
export const SILENT_MS = 16_000;

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;

/** What follows from what was seen of the stream at `nowMs`. Pure. */
export function connectionAfter(
  before: Connection,
  news: ConnectionNews,
  nowMs: number,
): Connection {
  if (news === 'opened') return { state: 'live' };
  const broken = before.state === 'reconnecting' || before.state === 'lost' ? before : undefined;
  if (news === 'tick' && broken === undefined) return before;
  const sinceMs = broken?.sinceMs ?? nowMs;
  const tries = (broken?.tries ?? 0) + (news === 'failed' ? 1 : 0);
  const state = nowMs - sinceMs >= LOST_AFTER_MS ? 'lost' : 'reconnecting';
  if (broken !== undefined && broken.state === state && broken.tries === tries) return broken;
  return { state, sinceMs, tries };
}

/** How long to wait before the next try, ms; `chance` in 0..1 spreads the pages of a controller that came back. */
export function pauseBefore(tries: number, chance: number): number {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(tries, 10));
  return longest * (0.5 + chance / 2);
}
