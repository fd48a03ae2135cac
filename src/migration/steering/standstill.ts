import type { SourceEvent } from '../direct/source-state.ts';

/** Post-copy’s stream when its bytes are stalled: how long that may be, and how long it was. Pure. */

/** So long a stream may stall without a thought, ms. */
export const NOTICED_MS = 1000;
/** Still for so long over a path that takes everything else, it is resumed all the same, ms. */
export const STUCK_MS = 10_000;

/** Before the switch it is said to be stalled after so long, ms: between two rounds it may rest. */
export const SAID_MS = 2000;

/** Since when nothing goes over the link, and until when that is waited for; moments of the wall clock, ms. */
export function stillness(
  { forMs, timeoutMs }: { readonly forMs: number; readonly timeoutMs: number | undefined },
  nowMs: number,
  overMs: number,
): { since: string; until?: string } {
  const since = nowMs - forMs;
  const at = (ms: number): string => new Date(Math.round(ms / 1000) * 1000).toISOString();
  if (timeoutMs === undefined) return { since: at(since) };
  return { since: at(since), until: at(Math.min(since + timeoutMs, overMs)) };
}

/** The same in words. */
export function stillWords(
  to: string,
  { since, until }: { readonly since: string; readonly until?: string | undefined },
): string {
  const time = (moment: string): string => moment.slice(11, 19);
  const end = until === undefined ? 'until it is back' : `until ${time(until)}`;
  return `the link to ${to} has been stalled since ${time(since)} UTC; it is waited for ${end}`;
}

/** What is known of a stream whose bytes are stalled. */
export interface Standstill {
  readonly stillMs: number;
  /** The path to the destination that is in use takes something now. */
  readonly answers: boolean;
  /** It took nothing at some time since the bytes are stalled. */
  readonly wasSilent: boolean;
  /** Some other path takes something now. */
  readonly otherAnswers: boolean;
}

/**
 * Whether to close the stream and resume it, `now` or `never` as things stand. A link that comes back is not
 * waited for by TCP: it asks ever more seldom, and may be late by as long as the link was away. A link that only swallows
 * what it gets comes back to nobody, but another path may be open.
 */
export function judgeStandstill(look: Standstill): 'recover' | 'wait' {
  const { stillMs, answers, wasSilent, otherAnswers } = look;
  if (stillMs < NOTICED_MS) return 'wait';
  if (!answers) return otherAnswers ? 'recover' : 'wait';
  return wasSilent || stillMs >= STUCK_MS ? 'recover' : 'wait';
}

/** How often, and for how long in all, the stream was stalled; `since` while it is. Moments are wall clock, ms. */
export interface Stalls {
  readonly count: number;
  readonly totalMs: number;
  readonly since: number | undefined;
}

export const NO_STALLS: Stalls = { count: 0, totalMs: 0, since: undefined };

/** What the journal says of the stream, in the order of its records. */
export type StallNews =
  /** It has been stalled for so long already. */
  | { readonly type: 'still'; readonly forMs: number }
  | { readonly type: 'broken' }
  /** `afterMs`: how long it was stalled, where that was not reported before. */
  | { readonly type: 'flows'; readonly afterMs: number };

export function stallsAfter(stalls: Stalls, news: StallNews, at: number): Stalls {
  const { count, totalMs, since } = stalls;
  switch (news.type) {
    case 'still':
      return since === undefined ? { ...stalls, since: at - news.forMs } : stalls;
    case 'broken':
      return since === undefined ? { ...stalls, since: at } : stalls;
    case 'flows': {
      const ms = since === undefined ? news.afterMs : Math.max(0, at - since);
      if (ms === 0 && since === undefined) return stalls;
      return { count: count + 1, totalMs: totalMs + ms, since: undefined };
    }
  }
}

/** The sum at `at`, one that goes on included. */
export function stallsUntil(stalls: Stalls, at: number): Stalls {
  return stallsAfter(stalls, { type: 'flows', afterMs: 0 }, at);
}

/** What an event of the source says of it. */
export function stallNews(event: SourceEvent): StallNews | undefined {
  switch (event.type) {
    case 'stalled':
      return { type: 'still', forMs: event.forMs };
    case 'flows':
      return { type: 'flows', afterMs: event.afterMs ?? 0 };
    case 'hypervisor':
      if (event.event.type === 'postcopy-paused') return { type: 'broken' };
      return /^(postcopy-active|completed)$/.test(event.event.type)
        ? { type: 'flows', afterMs: 0 }
        : undefined;
    default:
      return undefined;
  }
}
