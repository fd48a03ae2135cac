import { hoursOf, untilWindowMs } from '../../protocol/label-rules.ts';
import type { MigrationSettings } from '../../protocol/public/migration.ts';
import { formatRate } from '../../protocol/quantity.ts';

/** A host's bandwidth caps by time of day. Pure. */

export type Timetable = readonly {
  /** `[DAY[,DAY...] ]HH:MM-HH:MM`, in the host's time zone. */
  readonly hours: string;
  /** Cap of each outgoing migration, bytes/s. */
  readonly bytesPerS: number;
}[];

/** Lowest cap at that moment (ms since 1970), bytes/s; undefined outside all hours. */
export function capAt(timetable: Timetable, wallMs: number): number | undefined {
  const localMs = wallMs - new Date(wallMs).getTimezoneOffset() * 60_000;
  const caps = timetable.flatMap(({ hours, bytesPerS }) => {
    const window = hoursOf(hours);
    return window !== undefined && untilWindowMs(window, localMs) === 0 ? [bytesPerS] : [];
  });
  return caps.length === 0 ? undefined : Math.min(...caps);
}

/** Known start of the migration, ms since 1970. */
export function beginsAtMs(
  { notBefore, noticeMs = 0 }: Pick<MigrationSettings, 'notBefore' | 'noticeMs'>,
  askedAtMs: number,
): number {
  return Math.max(askedAtMs + noticeMs, notBefore === undefined ? 0 : Date.parse(notBefore));
}

/** Applies the lower of the migration's cap and the host's. */
export function withTimetable<S extends Pick<MigrationSettings, 'maxBandwidth'>>(
  settings: S,
  timetable: Timetable,
  wallMs: number,
): S {
  const cap = capAt(timetable, wallMs);
  if (cap === undefined) return settings;
  return { ...settings, maxBandwidth: Math.min(settings.maxBandwidth ?? Infinity, cap) };
}

/** Settings at the migration's known start. `askedAtMs`: time of the request, ms since 1970. */
export function asItBegins<
  S extends Parameters<typeof beginsAtMs>[0] & Pick<MigrationSettings, 'maxBandwidth'>,
>(settings: S, timetable: Timetable, askedAtMs: number): S {
  return withTimetable(settings, timetable, beginsAtMs(settings, askedAtMs));
}

const MINUTE_MS = 60_000;
const DAY_MINUTES = 24 * 60;

export interface CapAhead {
  readonly words: string;
  /** The cap changes within that time. */
  readonly changes: boolean;
}

/**
 * Caps lower than the migration's, from a start (ms since 1970) and for a duration, ms; looks at most one day ahead.
 * Undefined if there are none.
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

function timeOfDay(wallMs: number): string {
  const when = new Date(wallMs);
  const part = (value: number): string => String(value).padStart(2, '0');
  return `${part(when.getHours())}:${part(when.getMinutes())}`;
}
