import { z } from 'zod';
import { defined } from '../protocol/defined.ts';
import { migrationId, shortText } from '../protocol/names.ts';
import {
  migrationRequest,
  type MigrationRequest,
  type MigrationSettings,
  type Phase,
} from '../protocol/public/migration.ts';
import type { ReturnIfUnhealthy, SiteCheck } from '../protocol/public/site-check.ts';
import { strategyNamed } from '../protocol/public/steering.ts';

/** State machine of a site's check that watches a moved guest and returns it after failures. Pure. */

/** Consecutive failures that return a guest, as services may need a moment. */
const FAILURES_IN_A_ROW = 3;
/** Exit code that returns the guest at once. */
const AT_ONCE = 10;
const MAX_ATTEMPTS = 3;
/** Time limit of one run, ms. */
export const RUN_MS = 10_000;
/** Interval between runs: a twentieth of the watched time, within these, ms. */
const [SHORTEST_MS, LONGEST_MS] = [1000, 10_000];

const count = z.number().int().nonnegative();
const wallMs = z.number().nonnegative();

/** Stored at the destination, so that a restarted agent continues. */
export const watchState = z.object({
  version: z.literal(1),
  untilMs: wallMs,
  intervalMs: z.number().positive(),
  nextMs: wallMs,
  runs: count,
  failures: count,
  inRow: count,
  /** Result of the last run, unless it succeeded. */
  last: shortText.optional(),
  due: shortText.optional(),
  /** Returning migration; recorded before it is requested. */
  back: migrationId.optional(),
  attempts: z.array(migrationId).max(MAX_ATTEMPTS),
  ended: z
    .object({
      as: z.enum(['returned', 'passed', 'failed', 'cancelled', 'moved-on']),
      why: shortText.optional(),
    })
    .optional(),
});
export type WatchState = z.infer<typeof watchState>;

export interface WatchFacts {
  readonly nowMs: number;
  readonly others: 'none' | 'under-way' | 'moved-on';
  /** State of the returning migration; absent if it never began. */
  readonly back?: { readonly phase: Phase; readonly ended: boolean; readonly error?: string };
}

export type Deed =
  | { readonly do: 'nothing' }
  | { readonly do: 'check' }
  /** Requests the returning migration, again if it may not have begun. */
  | { readonly do: 'return' }
  | { readonly do: 'keep'; readonly state: WatchState };

/** Result of a run. `missing`: it could not run, which proves nothing about the guest. */
export type Finding =
  | { readonly as: 'good' }
  | { readonly as: 'bad'; readonly why: string; readonly code?: number | undefined }
  | { readonly as: 'missing'; readonly why: string };

const NOTHING: Deed = { do: 'nothing' };

/** `fromMs`: end of the migration that brought the guest. */
export function watchFrom({ withinMs }: ReturnIfUnhealthy, fromMs: number): WatchState {
  const intervalMs = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, withinMs / 20));
  return {
    version: 1,
    untilMs: fromMs + withinMs,
    intervalMs,
    nextMs: fromMs,
    runs: 0,
    failures: 0,
    inRow: 0,
    attempts: [],
  };
}

export function nextDeed(state: WatchState, facts: WatchFacts): Deed {
  const { nowMs, others } = facts;
  if (state.ended !== undefined) return NOTHING;
  if (others === 'moved-on') return ends(state, 'moved-on', 'it was moved on');
  if (facts.back !== undefined) return following(state, facts.back, nowMs);
  const isOver = nowMs >= state.untilMs;
  // Another migration decides; if it fails, the check continues.
  if (others === 'under-way')
    return isOver ? ends(state, 'moved-on', 'another migration of it was under way') : NOTHING;
  // The last failure was in time, so the return still happens.
  if (state.due !== undefined) return { do: 'return' };
  if (isOver) return timeIsOver(state);
  // After a clock is set back, the wait is limited to one interval.
  return nowMs >= state.nextMs || state.nextMs - nowMs > state.intervalMs
    ? { do: 'check' }
    : NOTHING;
}

function following(
  state: WatchState,
  { phase, ended, error }: NonNullable<WatchFacts['back']>,
  nowMs: number,
): Deed {
  if (!ended) return NOTHING;
  const why = state.due ?? '';
  if (phase === 'done') return ends(state, 'returned', why);
  if (phase === 'cancelled') return ends(state, 'cancelled', `${why}; its way back was cancelled`);
  const failed = `it could not be taken back: ${error ?? phase}`;
  // No new attempt if the guest may be lost.
  const isKnown = phase === 'failed';
  if (!isKnown || state.attempts.length >= MAX_ATTEMPTS)
    return ends(state, 'failed', `${why}; ${failed}`);
  return { do: 'keep', state: afresh(state, failed, nowMs) };
}

/** The return was refused or failed: the check must fail as often again before the next attempt. */
export function afterRefusal(state: WatchState, error: string, nowMs: number): WatchState {
  const failed = `it could not be taken back: ${error}`;
  if (state.attempts.length >= MAX_ATTEMPTS)
    return ended(state, 'failed', `${state.due ?? ''}; ${failed}`);
  return afresh(state, failed, nowMs);
}

function afresh(
  { due: _, back: __, ...state }: WatchState,
  last: string,
  nowMs: number,
): WatchState {
  return { ...state, inRow: 0, last: short(last), nextMs: nowMs + state.intervalMs };
}

function timeIsOver(state: WatchState): Deed {
  const { runs, inRow, last } = state;
  if (runs === 0) return ends(state, 'failed', last ?? 'its check was never run');
  if (inRow === 0 && last === undefined) return ends(state, 'passed');
  const words = inRow === 0 ? '' : ` (${inRow} in a row; ${FAILURES_IN_A_ROW} take a guest back)`;
  return ends(state, 'failed', `${last ?? 'its check failed'}${words}`);
}

export function afterRun(state: WatchState, found: Finding, nowMs: number): WatchState {
  const { last: _, ...rest } = state;
  const next = { ...rest, nextMs: nowMs + state.intervalMs };
  if (found.as === 'missing') return { ...next, last: short(found.why) };
  const runs = state.runs + 1;
  if (found.as === 'good') return { ...next, runs, inRow: 0 };
  const inRow = state.inRow + 1;
  const failed = { ...next, runs, failures: state.failures + 1, inRow, last: short(found.why) };
  if (found.code === AT_ONCE) return { ...failed, due: short(found.why) };
  if (inRow < FAILURES_IN_A_ROW) return failed;
  return { ...failed, due: short(`${found.why} (${inRow} failures in a row)`) };
}

/** The id is recorded first, so that the same migration is requested after a crash. */
export function goesBackBy(state: WatchState, id: string): WatchState {
  return { ...state, back: id, attempts: [...state.attempts, id].slice(-MAX_ATTEMPTS) };
}

export function cancelled(state: WatchState, by: string): WatchState {
  return ended(state, 'cancelled', `cancelled by ${by}`);
}

/** Used for an unreadable record: nothing is done on a guess. */
export function unreadable(): WatchState {
  const why = 'its record cannot be read';
  return ended(watchFrom({ check: '', withinMs: 0 }, 0), 'failed', why);
}

export function siteCheckOf({ untilMs, runs, failures, back, ...state }: WatchState): SiteCheck {
  const { ended: end, due, last } = state;
  const why = end === undefined ? (due ?? last) : end.why;
  return {
    state: end?.as ?? (back === undefined ? 'watching' : 'returning'),
    untilAt: new Date(untilMs).toISOString(),
    runs,
    failures,
    ...defined({ why, migration: back }),
  };
}

/** Settings of the return: as the guest was brought, without timing and path. */
export function wayBack(
  settings: MigrationSettings,
  { guest, to }: { readonly guest: string; readonly to: string },
): MigrationRequest {
  const { networks, steering } = settings;
  // A strategy that requires a deadline.
  const isBound = steering !== undefined && strategyNamed(steering).mustHaveLimits;
  const turned = new Map(Object.entries(networks ?? {}).map(([source, there]) => [there, source]));
  return migrationRequest.parse({
    ...settings,
    guest,
    to,
    networks: turned.size === 0 ? undefined : Object.fromEntries<string>(turned),
    steering: isBound ? undefined : steering,
    returnIfUnhealthy: undefined,
    notBefore: undefined,
    whenQuiet: undefined,
    noticeMs: undefined,
    deadlineAt: undefined,
    pathAddresses: undefined,
    rehearse: undefined,
    // Unplugs this host's devices; devices from before the move are not restored.
    unplug: settings.plug,
    plug: undefined,
    // A sick guest may not answer its balloon.
    balloon: undefined,
  });
}

type End = NonNullable<WatchState['ended']>['as'];

function ends(state: WatchState, as: End, why?: string): Deed {
  return { do: 'keep', state: ended(state, as, why) };
}

function ended(state: WatchState, as: End, why?: string): WatchState {
  return { ...state, ended: { as, ...(why === undefined ? {} : { why: short(why) }) } };
}

const MAX_WORDS = 1000;

function short(words: string): string {
  return words.slice(0, MAX_WORDS);
}
