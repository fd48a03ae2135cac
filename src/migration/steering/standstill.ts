import type { SourceEvent } from '../direct/source/source-state.ts';

/** Stalls of post-copy's stream. Pure. */

/** Shorter stalls are ignored, ms. */
export const NOTICED_MS = 1000;
/** After this time the stream is resumed even if the path takes other data, ms. */
export const STUCK_MS = 10_000;

/** Delay before a stall is reported ahead of the switchover, ms, as the stream may pause between rounds. */
export const SAID_MS = 2000;

/** Start of a stall and end of the wait, wall clock, ms. */
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

export function stillWords(
  to: string,
  { since, until }: { readonly since: string; readonly until?: string | undefined },
): string {
  const time = (moment: string): string => moment.slice(11, 19);
  const end = until === undefined ? 'until it is back' : `until ${time(until)}`;
  return `the link to ${to} has been stalled since ${time(since)} UTC; it is waited for ${end}`;
}

export interface Standstill {
  readonly stillMs: number;
  /** The current path takes data now. */
  readonly answers: boolean;
  /** The current path took none at some time during the stall. */
  readonly wasSilent: boolean;
  readonly otherAnswers: boolean;
}

/**
 * Decides whether to close the stream and resume it. TCP retries ever less often, so after an outage it may stay
 * stalled for as long as the outage lasted, and another path may be open.
 */
export function judgeStandstill(look: Standstill): 'recover' | 'wait' {
  const { stillMs, answers, wasSilent, otherAnswers } = look;
  if (stillMs < NOTICED_MS) return 'wait';
  if (!answers) return otherAnswers ? 'recover' : 'wait';
  return wasSilent || stillMs >= STUCK_MS ? 'recover' : 'wait';
}

/** Number and total duration of stalls; `since` during one. Wall clock, ms. */
export interface Stalls {
  readonly count: number;
  readonly totalMs: number;
  readonly since: number | undefined;
}

export const NO_STALLS: Stalls = { count: 0, totalMs: 0, since: undefined };

export type StallNews =
  | { readonly type: 'still'; readonly forMs: number }
  | { readonly type: 'broken' }
  /** `afterMs`: length of a stall that was not reported before. */
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

/** Total at `at`, including a current stall. */
export function stallsUntil(stalls: Stalls, at: number): Stalls {
  return stallsAfter(stalls, { type: 'flows', afterMs: 0 }, at);
}

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
