import { defined } from '../protocol/defined.ts';
import {
  MAX_LOAD_HOURS,
  type GuestLoad,
  type GuestRates,
  type LoadHour,
} from '../protocol/public/hosts/guest-load.ts';

/** Bounded history of guest load per hour. Pure. */

const HOUR_MS = 3_600_000;
const ENOUGH_MS = 600_000;
/** Guests per host; the guests that were not seen for longest are dropped. */
const MAX_GUESTS = 4096;
/** Limit over all guests; with many guests, each keeps fewer hours. */
const MAX_HOURS = 40_000;

const RATES = [
  'cores',
  'readBytesPerS',
  'writtenBytesPerS',
  'inBytesPerS',
  'outBytesPerS',
] as const;

/** Hours of each guest, oldest first. */
export type LoadHistory = ReadonlyMap<string, readonly LoadHour[]>;

/** Counters since the guest's process started; unreadable counters are absent. */
export interface GuestCounters {
  /** Process of the counters: pid and start time. */
  readonly of: string;
  readonly ports?: readonly string[] | undefined;
  readonly processorMs: number;
  readonly readBytes?: number | undefined;
  readonly writtenBytes?: number | undefined;
  readonly inBytes?: number | undefined;
  readonly outBytes?: number | undefined;
}

/**
 * Undefined if the two are from different processes. Omits a counter that fell (a tap was made again), and traffic if
 * a port came or went, because a new port's count does not belong to that period.
 */
export function ratesBetween(
  before: GuestCounters,
  now: GuestCounters,
  overMs: number,
): GuestRates | undefined {
  if (before.of !== now.of || overMs <= 0 || now.processorMs < before.processorMs) return undefined;
  const perS = (one: number | undefined, other: number | undefined): number | undefined =>
    one === undefined || other === undefined || other < one
      ? undefined
      : Math.round(((other - one) * 1000) / overMs);
  return known({
    cores: rounded((now.processorMs - before.processorMs) / overMs),
    readBytesPerS: perS(before.readBytes, now.readBytes),
    writtenBytesPerS: perS(before.writtenBytes, now.writtenBytes),
    ...(before.ports?.join() === now.ports?.join()
      ? {
          inBytesPerS: perS(before.inBytes, now.inBytes),
          outBytesPerS: perS(before.outBytes, now.outBytes),
        }
      : {}),
  });
}

/** Adds usage of the `overMs` before `atMs` to the hour of `atMs`. */
export function withRates(
  hours: readonly LoadHour[],
  rates: GuestRates,
  { atMs, overMs }: { readonly atMs: number; readonly overMs: number },
): LoadHour[] {
  const from = hourOf(atMs);
  // After a clock change, each hour keeps its place.
  const before = hours.filter((hour) => hour.from < from);
  const after = hours.filter((hour) => hour.from > from);
  const begun = hours.find((hour) => hour.from === from);
  const hour =
    begun === undefined
      ? { from, overMs: Math.min(HOUR_MS, overMs), ...rates }
      : mean(begun, rates, overMs);
  return mostRecent([...before, hour, ...after], MAX_LOAD_HOURS, atMs);
}

/** Adds one sample of memory writes to an existing hour. */
export function withDirtied(
  hours: readonly LoadHour[],
  bytesPerS: number,
  atMs: number,
): LoadHour[] {
  const from = hourOf(atMs);
  return hours.map((hour) => {
    if (hour.from !== from) return hour;
    const { dirtyBytesPerS = 0, dirtyLooks = 0 } = hour;
    const mean = (dirtyBytesPerS * dirtyLooks + bytesPerS) / (dirtyLooks + 1);
    return { ...hour, dirtyBytesPerS: Math.round(mean), dirtyLooks: dirtyLooks + 1 };
  });
}

/** Adds hours that another host reported: only past hours of the last week, and this host's hours win. */
export function withTold(
  own: readonly LoadHour[],
  told: readonly LoadHour[],
  nowMs: number,
): LoadHour[] {
  const [oldest, now] = [hourOf(nowMs - MAX_LOAD_HOURS * HOUR_MS), hourOf(nowMs)];
  const all = new Map(own.map((hour) => [hour.from, hour]));
  for (const hour of told) {
    const { from } = hour;
    const isOver = isHour(from) && from > oldest && from < now;
    if (isOver && !all.has(from)) all.set(from, hour);
  }
  const sorted = [...all.values()].toSorted((one, other) => (one.from < other.from ? -1 : 1));
  return mostRecent(sorted, MAX_LOAD_HOURS, nowMs);
}

/** Drops future hours first, since a clock was wrong, and then the oldest. */
function mostRecent(hours: readonly LoadHour[], most: number, nowMs: number): LoadHour[] {
  const now = hourOf(nowMs);
  const past = hours.filter(({ from }) => from <= now).slice(-most);
  const ahead = hours.filter(({ from }) => from > now).slice(0, most - past.length);
  return [...past, ...ahead];
}

export function withinBounds(history: LoadHistory, nowMs: number): Map<string, LoadHour[]> {
  const oldest = hourOf(nowMs - MAX_LOAD_HOURS * HOUR_MS);
  const recent = [...history]
    .map(([guest, hours]) => [guest, hours.filter(({ from }) => from > oldest)] as const)
    .filter(([, hours]) => hours.length > 0)
    .toSorted(([, one], [, other]) => newestFirst(one, other))
    .slice(0, MAX_GUESTS);
  const each = Math.max(1, Math.floor(MAX_HOURS / Math.max(1, recent.length)));
  return new Map(recent.map(([guest, hours]) => [guest, mostRecent(hours, each, nowMs)]));
}

export function loadOf(hours: readonly LoadHour[], now: GuestLoad['now']): GuestLoad {
  const byCores = seenEnough(hours).toSorted((one, other) => one.cores - other.cores);
  const [quietest] = byCores;
  const busiest = byCores.at(-1);
  return {
    ...defined({ now, busiest, quietest }),
    hours: [...hours],
  };
}

export function seenEnough(hours: readonly LoadHour[]): LoadHour[] {
  return hours.filter(({ overMs }) => overMs >= ENOUGH_MS);
}

function mean(hour: LoadHour, rates: GuestRates, overMs: number): LoadHour {
  const all = hour.overMs + overMs;
  const share = (name: (typeof RATES)[number]): number | undefined => {
    const [one, other] = [hour[name], rates[name]];
    // A value known for one part only stands for both.
    if (one === undefined || other === undefined) return one ?? other;
    const both = (one * hour.overMs + other * overMs) / all;
    return name === 'cores' ? rounded(both) : Math.round(both);
  };
  const means = Object.fromEntries(RATES.map((name) => [name, share(name)]));
  const { cores = 0, ...rest } = means;
  const { from, dirtyBytesPerS, dirtyLooks } = hour;
  const dirtied =
    dirtyBytesPerS === undefined || dirtyLooks === undefined ? {} : { dirtyBytesPerS, dirtyLooks };
  return { from, overMs: Math.min(HOUR_MS, all), ...known({ cores, ...rest }), ...dirtied };
}

function known(rates: { [name in keyof GuestRates]: GuestRates[name] | undefined }): GuestRates {
  const { cores = 0, ...rest } = rates;
  const seen = Object.entries(rest).filter(([, value]) => value !== undefined);
  return { cores, ...(Object.fromEntries(seen) as Partial<GuestRates>) };
}

function newestFirst(one: readonly LoadHour[], other: readonly LoadHour[]): number {
  const [left = '', right = ''] = [one.at(-1)?.from, other.at(-1)?.from];
  return left === right ? 0 : left > right ? -1 : 1;
}

function hourOf(atMs: number): string {
  return new Date(Math.floor(atMs / HOUR_MS) * HOUR_MS).toISOString();
}

/** Written as this host writes hours, so that they compare. */
function isHour(from: string): boolean {
  const atMs = Date.parse(from);
  return Number.isFinite(atMs) && hourOf(atMs) === from;
}

const rounded = (cores: number): number => Math.round(cores * 1000) / 1000;
