import { godwitError } from '../../errors.ts';
import type { MigrationSettings } from '../../protocol/public/migration.ts';
import { modeOf, strategyNamed } from '../../protocol/public/steering.ts';
import { formatDuration, formatRate } from '../../protocol/quantity.ts';
import {
  POSTCOPY_SWITCH_MS,
  SEVERAL_SWITCH_MS,
  SPREADS,
  START_MS,
  SWITCH_MS,
} from '../prediction/parameters.ts';
import { passes, refuses, warns, type Finding } from './finding.ts';

/** Limits that contradict the minimum of any migration, by arithmetic alone. Pure. */

/** Maximum time between a request and its start. */
const MAX_WAIT_DAYS = 7;
export const MAX_WAIT_MS = MAX_WAIT_DAYS * 86_400_000;

/** Maximum wait for a quiet guest (protocol/public/migration.ts), ms. */
export const MAX_QUIET_MS = 86_400_000;

export const MAX_NOTICE_MS = 3_600_000;

export interface LimitsFacts {
  readonly settings: Pick<MigrationSettings, 'mode' | 'streams' | 'compress'> &
    Partial<MigrationSettings>;
  /** Wall clock, ms. */
  readonly nowMs: number;
}

/** Factor on a fixed time for its lower bound in predictions: nine of ten are above it. */
const MIN = Math.exp(-1.28 * SPREADS.fixed);

/** Time from the earliest start to the limit, ms; Infinity without a limit. */
export function leftOfLimits(
  {
    timeoutMs = Infinity,
    deadlineAt,
    notBefore,
    whenQuiet,
    noticeMs = 0,
  }: Partial<MigrationSettings>,
  nowMs: number,
): number {
  const reportedMs = nowMs + noticeMs;
  const askedMs =
    notBefore === undefined ? reportedMs : Math.max(reportedMs, Date.parse(notBefore));
  const fromMs = askedMs + (whenQuiet?.withinMs ?? 0);
  const untilMs = deadlineAt === undefined ? Infinity : Date.parse(deadlineAt) - fromMs;
  return Math.min(timeoutMs, untilMs);
}

/** Minimum pause to transfer the device state, ms. */
export function leastSwitchMs({
  mode,
  streams,
  compress,
}: Pick<MigrationSettings, 'mode' | 'streams' | 'compress'>): number {
  const precopy = streams > 1 || compress === 'zstd' ? SEVERAL_SWITCH_MS : SWITCH_MS;
  return Math.round((mode === 'precopy' ? precopy : POSTCOPY_SWITCH_MS) * MIN);
}

/** Arithmetic on an invalid time would pass every comparison. */
function unreadableTimes({ deadlineAt, notBefore }: Partial<MigrationSettings>): Finding[] {
  const times = { 'the deadline': deadlineAt, 'the earliest beginning': notBefore };
  return Object.entries(times).flatMap(([name, at]) => {
    if (at === undefined || Number.isFinite(Date.parse(at))) return [];
    const what = `${name} ${at} cannot be read as a time`;
    const hint = 'Name it as ISO 8601, such as 2026-05-01T12:00:00Z.';
    return [refuses(godwitError('GODWIT_USAGE', { what }, { hint }))];
  });
}

const QUIET_HINT =
  'The wait for a quiet moment, --quiet-within (1h by default), must fit before the deadline: give a shorter --quiet-within, or a later deadline.';

const LATER_HINT = 'Give a later --deadline, or leave it out.';
const SOONER_HINT = 'Give a sooner --not-before or --window.';
const TIMEOUT_HINT = 'Give a longer --give-up-after (10m by default).';

interface Refusal {
  readonly what: string;
  readonly hint: string;
}

const TAKES = `a migration takes ${formatDuration(START_MS)} before memory moves`;

function lateFor(settings: Partial<MigrationSettings>, nowMs: number): Refusal[] {
  const { deadlineAt, notBefore, whenQuiet, noticeMs } = settings;
  if (deadlineAt === undefined) return [];
  const left = leftOfLimits({ deadlineAt, notBefore, whenQuiet, noticeMs }, nowMs);
  if (left >= START_MS) return [];
  const quietMs = whenQuiet?.withinMs ?? 0;
  const quiet = quietMs === 0 ? '' : `, ${formatDuration(quietMs)} for a quiet moment out`;
  const from = `${notBefore === undefined ? '' : ` from ${notBefore}`}${quiet}`;
  const what =
    left <= 0
      ? `the deadline ${deadlineAt} is over${from && ` before it begins${quiet}`}`
      : `${formatDuration(left)} are left${from} until ${deadlineAt}, and ${TAKES}`;
  return [{ what, hint: left + quietMs >= START_MS ? QUIET_HINT : LATER_HINT }];
}

function allowedText({
  maxDowntimeMs,
  timeoutMs,
  maxBandwidth,
  steering,
}: LimitsFacts['settings']): string {
  const allowed = [
    maxDowntimeMs === undefined ? [] : `${formatDuration(maxDowntimeMs)} of downtime`,
    timeoutMs === undefined ? [] : `${formatDuration(timeoutMs)} in all`,
    maxBandwidth === undefined ? [] : formatRate(maxBandwidth),
  ].flat();
  const by = steering === undefined ? '' : `, by strategy ${strategyNamed(steering).name}`;
  return allowed.length === 0 ? `none are asked for${by}` : `allowed: ${allowed.join(', ')}${by}`;
}

export function judgeLimits({ settings, nowMs }: LimitsFacts): Finding[] {
  const { steering, deadlineAt, notBefore, maxDowntimeMs = 0, timeoutMs = Infinity } = settings;
  const strategy = steering === undefined ? undefined : strategyNamed(steering);
  const unreadable = unreadableTimes(settings);
  if (unreadable.length > 0) return unreadable;
  const refused: Refusal[] = [];
  const refuse = (what: string, hint: string): void => void refused.push({ what, hint });
  if (notBefore !== undefined && Date.parse(notBefore) - nowMs > MAX_WAIT_MS)
    refuse(`${notBefore} is more than ${MAX_WAIT_DAYS} days ahead`, SOONER_HINT);
  refused.push(...lateFor(settings, nowMs));
  if (strategy?.mustHaveLimits === true) {
    const least = leastSwitchMs({ ...settings, mode: modeOf(strategy) });
    if (deadlineAt === undefined)
      refuse(`the strategy ${strategy.name} needs a deadline`, 'Give --deadline or --window.');
    if (maxDowntimeMs < least)
      refuse(
        `${formatDuration(maxDowntimeMs)} of downtime are allowed, and the state of the devices alone takes ${formatDuration(least)}`,
        `Give --max-downtime ${least}ms or more.`,
      );
  }
  if (refused.length > 0)
    return refused.map(({ what, hint }) =>
      refuses(godwitError('GODWIT_USAGE', { what }, { hint })),
    );
  // A small guest may be faster than predictions.
  if (timeoutMs < START_MS)
    return [warns(`the timeout is ${formatDuration(timeoutMs)}, and ${TAKES}`, TIMEOUT_HINT)];
  return [passes(allowedText(settings))];
}
