import { hoursOf, untilWindowMs } from '../../protocol/label-rules.ts';
import type { MigrationSettings } from '../../protocol/public/migration.ts';
import { formatRate } from '../../protocol/quantity.ts';

/** What a host's migrations may send by the time of day. Pure. */

/** As `limits.bandwidth` of the configuration has it. */
export type Timetable = readonly {
  /** `[DAY[,DAY...] ]HH:MM-HH:MM`, in the host's time zone. */
  readonly hours: string;
  /** What each migration that leaves may send in them, bytes/s. */
  readonly bytesPerS: number;
}[];

/** The least cap of the hours that hold at that moment (ms since 1970), bytes/s; undefined outside of all. */
export function capAt(timetable: Timetable, wallMs: number): number | undefined {
  const localMs = wallMs - new Date(wallMs).getTimezoneOffset() * 60_000;
  const caps = timetable.flatMap(({ hours, bytesPerS }) => {
    const window = hoursOf(hours);
    return window !== undefined && untilWindowMs(window, localMs) === 0 ? [bytesPerS] : [];
  });
  return caps.length === 0 ? undefined : Math.min(...caps);
}

/** When the migration begins, as far as that is known, ms since 1970. */
export function beginsAtMs(
  { notBefore, noticeMs = 0 }: Pick<MigrationSettings, 'notBefore' | 'noticeMs'>,
  askedAtMs: number,
): number {
  return Math.max(askedAtMs + noticeMs, notBefore === undefined ? 0 : Date.parse(notBefore));
}

/** The settings as they hold at that moment: the lower one of their own cap and the host's. */
export function withTimetable<S extends Pick<MigrationSettings, 'maxBandwidth'>>(
  settings: S,
  timetable: Timetable,
  wallMs: number,
): S {
  const cap = capAt(timetable, wallMs);
  if (cap === undefined) return settings;
  return { ...settings, maxBandwidth: Math.min(settings.maxBandwidth ?? Infinity, cap) };
}

/** The settings as they hold when the migration begins, as far as that is known. `askedAtMs`: when it is asked for, ms since 1970. */
export function asItBegins<
  S extends Parameters<typeof beginsAtMs>[0] & Pick<MigrationSettings, 'maxBandwidth'>,
>(settings: S, timetable: Timetable, askedAtMs: number): S {
  return withTimetable(settings, timetable, beginsAtMs(settings, askedAtMs));
}

const MINUTE_MS = 60_000;
const DAY_MINUTES = 24 * 60;

/** What a plan says of the host's caps. */
export interface CapAhead {
  readonly words: string;
  /** Another one holds before that time is over. */
  readonly changes: boolean;
}

/**
 * From a beginning (ms since 1970) on: what is to be said of the caps that hold within so long, ms; undefined where none is
 * lower than the migration's own. It looks a day ahead at most.
 */
export function capOver(
  timetable: Timetable,
  beginMs: number,
  { host, own = Infinity }: { readonly host: string; readonly own?: number | undefined },
): (lastsMs: number) => CapAhead | undefined {
  const binding = (wallMs: number): number | undefined => {
    const cap = capAt(timetable, wallMs) ?? Infinity;
    return cap < own ? cap : undefined;
  };
  const at = (minute: number): number => beginMs + minute * MINUTE_MS;
  const first = binding(beginMs);
  const free = own === Infinity ? 'as much as the link carries' : formatRate(own);
  const named = (cap: number | undefined): string => (cap === undefined ? free : formatRate(cap));
  const begins = `as it begins ${host} lets it send ${named(first)} by the time of day (limits.bandwidth)`;
  return (lastsMs) => {
    const minutes = Math.min(DAY_MINUTES, Math.ceil(lastsMs / MINUTE_MS));
    const ahead =
      timetable.length === 0 ? [] : Array.from({ length: minutes }, (_, each) => each + 1);
    const other = ahead.find((minute) => binding(at(minute)) !== first);
    if (other === undefined)
      return first === undefined ? undefined : { words: begins, changes: false };
    const then = `${named(binding(at(other)))} from ${timeOfDay(at(other))} on`;
    return { words: `${begins}, and ${then}: the prediction goes by the first`, changes: true };
  };
}

/** HH:MM in this process's time zone. */
function timeOfDay(wallMs: number): string {
  const when = new Date(wallMs);
  const part = (value: number): string => String(value).padStart(2, '0');
  return `${part(when.getHours())}:${part(when.getMinutes())}`;
}
