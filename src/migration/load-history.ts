import { defined } from '../protocol/defined.ts';
import {
  MAX_LOAD_HOURS,
  type GuestLoad,
  type GuestRates,
  type LoadHour,
} from '../protocol/public/hosts/guest-load.ts';

/** How busy guests were, hour by hour, within bounds. Pure. */

const HOUR_MS = 3_600_000;
/** An hour that was seen for less says little. */
const ENOUGH_MS = 600_000;
/** Guests of a host; beyond these, those that were seen longest ago are forgotten. */
const MAX_GUESTS = 4096;
/** Of all guests together. Where there are many guests, each has fewer hours. */
const MAX_HOURS = 40_000;

const RATES = [
  'cores',
  'readBytesPerS',
  'writtenBytesPerS',
  'inBytesPerS',
  'outBytesPerS',
] as const;

/** By guest; oldest hour first. */
export type LoadHistory = ReadonlyMap<string, readonly LoadHour[]>;

/** What a guest's counters say since its process began; what cannot be read is absent. */
export interface GuestCounters {
  /** Of one and the same process: pid and when it began. */
  readonly of: string;
  /** Whose traffic is counted. */
  readonly ports?: readonly string[] | undefined;
  readonly processorMs: number;
  readonly readBytes?: number | undefined;
  readonly writtenBytes?: number | undefined;
  readonly inBytes?: number | undefined;
  readonly outBytes?: number | undefined;
}

/**
 * Undefined where they are not of one process. A counter that went back (a tap was made anew) is not known for that time, nor
 * is the traffic where a port came or went: what a new one has counted since it was made is no traffic of that time.
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

/** The hours of a guest with what it used in the `overMs` before `atMs`, which count to the hour of `atMs`. */
export function withRates(
  hours: readonly LoadHour[],
  rates: GuestRates,
  { atMs, overMs }: { readonly atMs: number; readonly overMs: number },
): LoadHour[] {
  const from = hourOf(atMs);
  // A clock may have been ahead, or have been set back: each hour keeps its place.
  const before = hours.filter((hour) => hour.from < from);
  const after = hours.filter((hour) => hour.from > from);
  const begun = hours.find((hour) => hour.from === from);
  const hour =
    begun === undefined
      ? { from, overMs: Math.min(HOUR_MS, overMs), ...rates }
      : mean(begun, rates, overMs);
  return mostRecent([...before, hour, ...after], MAX_LOAD_HOURS, atMs);
}

/** The hours of a guest with one look at what it writes to its memory; an hour of which nothing else is known has none. */
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

/**
 * The hours of a guest with what another host has told of it. What this host has seen stays as it is: of the others, hours
 * of the last week that are over, each once.
 */
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

/** Where there are more hours than are kept, those that are yet to come go first: a clock was wrong. Then the oldest go. */
function mostRecent(hours: readonly LoadHour[], most: number, nowMs: number): LoadHour[] {
  const now = hourOf(nowMs);
  const past = hours.filter(({ from }) => from <= now).slice(-most);
  const ahead = hours.filter(({ from }) => from > now).slice(0, most - past.length);
  return [...past, ...ahead];
}

/** Without hours of more than a week ago, and within what a host keeps. */
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

/** What is told of a guest. */
export function loadOf(hours: readonly LoadHour[], now: GuestLoad['now']): GuestLoad {
  const byCores = seenEnough(hours).toSorted((one, other) => one.cores - other.cores);
  const [quietest] = byCores;
  const busiest = byCores.at(-1);
  return {
    ...defined({ now, busiest, quietest }),
    hours: [...hours],
  };
}

/** Hours that say something. */
export function seenEnough(hours: readonly LoadHour[]): LoadHour[] {
  return hours.filter(({ overMs }) => overMs >= ENOUGH_MS);
}

function mean(hour: LoadHour, rates: GuestRates, overMs: number): LoadHour {
  const all = hour.overMs + overMs;
  const share = (name: (typeof RATES)[number]): number | undefined => {
    const [one, other] = [hour[name], rates[name]];
    // What is known of one part alone stands for both.
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

/** When the hour of a moment began, as it is written. */
function hourOf(atMs: number): string {
  return new Date(Math.floor(atMs / HOUR_MS) * HOUR_MS).toISOString();
}

/** Written as this host writes them, so that it compares with others. */
function isHour(from: string): boolean {
  const atMs = Date.parse(from);
  return Number.isFinite(atMs) && hourOf(atMs) === from;
}

const rounded = (cores: number): number => Math.round(cores * 1000) / 1000;
