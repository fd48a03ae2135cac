import { defined } from './defined.ts';
import { didYouMean } from './nearest.ts';
import { parseDuration } from './quantity.ts';
import { readDevices, type Unplugs } from './unplug.ts';

export interface Labels {
  readonly neverMove: boolean;
  readonly maxDowntimeMs?: number;
  /** Realtime guest: never throttle it, and never make it wait for pages. */
  readonly realtime?: true;
  /** Never on a host with another guest of this group. */
  readonly antiAffinity?: string;
  /** UTC times when it may begin to move. */
  readonly window?: Window;
  /** Time between the owner's notice and the move. */
  readonly noticeMs?: number;
  /** Higher goes first if several leave; default 0. */
  readonly priority?: number;
  readonly unplug?: Unplugs;
  readonly plug?: Unplugs;
  /** Recovered elsewhere once its host is proved off. */
  readonly recover?: true;
}

/** Days of the week (0 is Sunday) and minutes of the day; a window that ends before it begins crosses midnight. */
export interface Window {
  readonly days: readonly number[];
  readonly fromMinute: number;
  readonly toMinute: number;
}

export const LABELS_HINT = 'See `godwit label --help`.';

export const NO_LABELS: Labels = { neverMove: false };

const NAMES = [
  'godwit/never-move',
  'godwit/max-downtime',
  'godwit/anti-affinity',
  'godwit/window',
  'godwit/notice',
  'godwit/plug',
  'godwit/priority',
  'godwit/realtime',
  'godwit/recover',
  'godwit/unplug',
] as const;
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const DAY_MINUTES = 24 * 60;
const MAX_DOWNTIME_MS = 60_000;
const NOTICE_MS = { least: 1000, most: 3_600_000 };

/** Parses the labels. Invalid or contradicting ones are returned in words, and block the guest's moves. */
export function readLabels(given: Readonly<Record<string, string>>): Labels | { words: string } {
  const own = Object.entries(given).filter(([name]) => name.startsWith('godwit/'));
  const strange = own.find(([name]) => !(NAMES as readonly string[]).includes(name));
  if (strange !== undefined) {
    const near = didYouMean(strange[0], NAMES) ?? `Godwit knows ${NAMES.join(', ')}.`;
    return { words: `the label ${strange[0]} is not one that Godwit knows. ${near}` };
  }
  const never = given['godwit/never-move'];
  if (never !== undefined && never !== 'true' && never !== 'false') {
    return { words: says('never-move', never, 'neither true nor false') };
  }
  const downtime = given['godwit/max-downtime'];
  const maxDowntimeMs = downtime === undefined ? undefined : durationMs(downtime);
  if (downtime !== undefined && !(maxDowntimeMs !== undefined && inBounds(maxDowntimeMs))) {
    return { words: says('max-downtime', downtime, 'no duration from 1ms to 60s') };
  }
  const group = given['godwit/anti-affinity'];
  if (group !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(group)) {
    return { words: says('anti-affinity', group, 'no name of a group') };
  }
  const when = given['godwit/window'];
  const window = when === undefined ? undefined : hoursOf(when);
  if (when !== undefined && window === undefined) {
    return { words: says('window', when, 'nothing like "sat,sun 22:00-04:00" (UTC)') };
  }
  const notice = given['godwit/notice'];
  const noticeMs = notice === undefined ? undefined : durationMs(notice);
  if (notice !== undefined && !(noticeMs !== undefined && isNotice(noticeMs))) {
    return { words: says('notice', notice, 'no duration from 1s to 1h') };
  }
  const urgency = given['godwit/priority'];
  if (urgency !== undefined && !isPriority(urgency)) {
    return { words: says('priority', urgency, 'no whole number from -100 to 100') };
  }
  for (const name of ['realtime', 'recover'] as const) {
    const text = given[`godwit/${name}`];
    if (text !== undefined && text !== 'true' && text !== 'false') {
      return { words: says(name, text, 'neither true nor false') };
    }
  }
  const devices: { unplug?: Unplugs; plug?: Unplugs } = {};
  for (const name of ['unplug', 'plug'] as const) {
    const text = given[`godwit/${name}`];
    const named = text === undefined ? undefined : readDevices(text);
    if (text !== undefined && named === undefined)
      return { words: says(name, text, 'nothing like "hostdev0,usb1"') };
    if (named !== undefined) devices[name] = named;
  }
  const other = when === undefined ? 'godwit/max-downtime' : 'godwit/window';
  if (never === 'true' && (when !== undefined || downtime !== undefined)) {
    return { words: `its labels contradict each other: godwit/never-move and ${other}` };
  }
  return {
    neverMove: never === 'true',
    ...defined({ maxDowntimeMs, antiAffinity: group, window, noticeMs }),
    ...(urgency === undefined ? {} : { priority: Number(urgency) }),
    ...devices,
    ...(given['godwit/realtime'] === 'true' ? { realtime: true as const } : {}),
    ...(given['godwit/recover'] === 'true' ? { recover: true as const } : {}),
  };
}

const says = (name: string, value: string, which: string): string =>
  `the label godwit/${name} says "${value}", which is ${which}`;

const isPriority = (text: string): boolean =>
  /^(0|-?[1-9]\d{0,2})$/.test(text) && Math.abs(Number(text)) <= 100;

function durationMs(text: string): number | undefined {
  try {
    return parseDuration(text);
  } catch {
    return undefined;
  }
}

const inBounds = (ms: number): boolean => Number.isInteger(ms) && ms >= 1 && ms <= MAX_DOWNTIME_MS;

const isNotice = (ms: number): boolean =>
  Number.isInteger(ms) && ms >= NOTICE_MS.least && ms <= NOTICE_MS.most;

/** `[DAY[,DAY...] ]HH:MM-HH:MM`, up to 24:00; undefined for anything else and for an empty time. */
export function hoursOf(text: string): Window | undefined {
  const match = /^(?:([a-z]{3}(?:,[a-z]{3})*) )?(\d{2}):(\d{2})-(\d{2}):(\d{2})$/.exec(text);
  if (match === null) return undefined;
  const [, dayNames, ...numbers] = match;
  const [fromHour = 0, fromPart = 0, toHour = 0, toPart = 0] = numbers.map(Number);
  const isTime = (hour: number, minute: number): boolean => hour < 24 && minute < 60;
  const isMidnight = toHour === 24 && toPart === 0;
  const days = dayNames?.split(',').map((name) => DAYS.indexOf(name)) ?? DAYS.map((_, day) => day);
  const [fromMinute, toMinute] = [fromHour * 60 + fromPart, toHour * 60 + toPart];
  if (!isTime(fromHour, fromPart) || !(isMidnight || isTime(toHour, toPart))) return undefined;
  if (fromMinute === toMinute || days.includes(-1)) return undefined;
  return { days, fromMinute, toMinute };
}

/** 0 inside the window; else ms until it opens, at most a week. */
export function untilWindowMs({ days, fromMinute, toMinute }: Window, nowMs: number): number {
  const minuteMs = 60_000;
  const week = 7 * DAY_MINUTES;
  const now = Math.floor(nowMs / minuteMs) + 4 * DAY_MINUTES;
  const length = toMinute - fromMinute + (toMinute < fromMinute ? DAY_MINUTES : 0);
  let soonest = week;
  for (const day of days) {
    const since = (((now - day * DAY_MINUTES - fromMinute) % week) + week) % week;
    if (since < length) return 0;
    soonest = Math.min(soonest, week - since);
  }
  return soonest * minuteMs - (nowMs % minuteMs);
}
