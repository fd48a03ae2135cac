import { END_MS, START_MS } from '../migration/prediction/parameters.ts';
import { formatBytes, formatDuration } from '../protocol/quantity.ts';
import { MAX_DIRTY } from './cost.ts';
import { bytesOf } from './destinations.ts';
import type { PlannerGuest } from './inventory.ts';

/**
 * Plans which guests leave a site over one thin line by a deadline, and how. By priority; among equals the fastest
 * first, so that more succeed. A guest that does not fit the remaining time and budget stays and is named; a smaller
 * one may take its place. Pure.
 */

/** `pause`: pre-copy that ends with a pause for the working set. */
export type How = 'precopy' | 'postcopy' | 'pause';

export interface Leaver {
  readonly guest: PlannerGuest;
  readonly to: string;
  readonly priority: number;
  /** The host's prediction for its memory; absent without a measurement. Pre-copy that would not end has none. */
  readonly size?: {
    readonly precopyBytes?: number | undefined;
    readonly postcopyBytes?: number | undefined;
  };
  readonly diskBytes: number;
  /** Notice to its owner, s. */
  readonly noticeSeconds: number;
  readonly mayPostcopy: boolean;
  /** Permitted pause, s; 0: none. */
  readonly maxPauseSeconds: number;
}

export interface Line {
  /** Rates of the line and of one move, bytes/s. */
  readonly bytesPerSecond: number;
  readonly mostPerMove: number;
  readonly deadlineSeconds: number;
  /** Remaining budget; absent: unlimited. */
  readonly budgetBytes?: number;
  /** s until each running move ends. */
  readonly running: readonly number[];
  readonly mostAtOnce: number;
}

export interface Leaving {
  readonly guest: string;
  readonly to: string;
  readonly priority: number;
  readonly how: How;
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly bytes: number;
}

export interface Staying {
  readonly guest: string;
  readonly priority: number;
  readonly words: string;
}

export interface Evacuation {
  readonly leaving: readonly Leaving[];
  readonly staying: readonly Staying[];
  /** Concurrent moves that fill the line. */
  readonly lanes: number;
  readonly bytes: number;
}

const FIXED_S = (START_MS + END_MS) / 1000;

interface MoveOption {
  readonly how: How;
  readonly bytes: number;
  readonly seconds: number;
}

export function evacuate(leavers: readonly Leaver[], line: Line): Evacuation {
  const lanes = lanesOf(line);
  const rate = line.bytesPerSecond / lanes;
  const free = line.running.map((seconds) => Math.max(0, seconds));
  while (free.length < lanes) free.push(0);
  const leaving: Leaving[] = [];
  const staying: Staying[] = [];
  let bytes = 0;
  const all = leavers.map((leaver) => ({ leaver, options: optionsOf(leaver, rate) }));
  for (const { leaver, options } of all.toSorted(inTurn)) {
    const { guest, to, priority } = leaver;
    const startSeconds = startOf(free, lanes);
    const timeLeft = line.deadlineSeconds - startSeconds;
    const budgetLeft = (line.budgetBytes ?? Infinity) - bytes;
    const option = options.find((each) => each.seconds <= timeLeft && each.bytes <= budgetLeft);
    if (option === undefined) {
      const words = whyLeft(options, { rate, timeLeft, budgetLeft }, leaver);
      staying.push({ guest: guest.name, priority, words });
      continue;
    }
    const { seconds, ...rest } = option;
    const endSeconds = startSeconds + seconds;
    free.push(endSeconds);
    bytes += option.bytes;
    leaving.push({ guest: guest.name, to, priority, startSeconds, endSeconds, ...rest });
  }
  return { leaving, staying, lanes, bytes };
}

const lanesOf = ({ bytesPerSecond, mostPerMove, mostAtOnce }: Line): number =>
  Math.max(1, Math.min(mostAtOnce, Math.ceil(bytesPerSecond / mostPerMove)));

function startOf(ends: readonly number[], lanes: number): number {
  const sorted = ends.toSorted((left, right) => left - right);
  return sorted[sorted.length - lanes] ?? 0;
}

type LeaverOptions = { readonly leaver: Leaver; readonly options: readonly MoveOption[] };

function inTurn(left: LeaverOptions, right: LeaverOptions): number {
  const soonest = ({ options }: LeaverOptions): number =>
    Math.min(...options.map(({ seconds }) => seconds));
  return (
    right.leaver.priority - left.leaver.priority ||
    compare(soonest(left), soonest(right)) ||
    (left.leaver.guest.name < right.leaver.guest.name ? -1 : 1)
  );
}

/** Both may be Infinity, whose difference is NaN. */
const compare = (left: number, right: number): number => (left === right ? 0 : left - right);

/** Possible ways to move, gentlest first. */
function optionsOf(
  { guest, size, diskBytes, noticeSeconds, mayPostcopy, maxPauseSeconds }: Leaver,
  rate: number,
): MoveOption[] {
  const used = size?.postcopyBytes ?? guest.usedBytes ?? guest.memoryBytes;
  const hot = Math.min(guest.workingSetBytes ?? used, used);
  const dirty = guest.dirtyBytesPerSecond ?? 0;
  const option = (how: How, memory: number): MoveOption => {
    const bytes = Math.ceil(memory + diskBytes);
    return { how, bytes, seconds: noticeSeconds + bytes / rate + FIXED_S };
  };
  const options: MoveOption[] = [];
  const precopyBytes =
    size === undefined && dirty <= rate * MAX_DIRTY ? bytesOf({ guest }, rate) : size?.precopyBytes;
  if (precopyBytes !== undefined) options.push(option('precopy', precopyBytes));
  if (mayPostcopy && (size === undefined || size.postcopyBytes !== undefined))
    options.push(option('postcopy', used));
  const rest = Math.min(hot, dirty * (used / rate));
  if (dirty > 0 && rest / rate <= maxPauseSeconds) options.push(option('pause', used + rest));
  return options;
}

interface Room {
  readonly rate: number;
  readonly timeLeft: number;
  readonly budgetLeft: number;
}

/** Explains why no option fits, with the calculation. */
function whyLeft(
  options: readonly MoveOption[],
  { rate, timeLeft, budgetLeft }: Room,
  { guest }: Leaver,
): string {
  const [least] = options.toSorted((left, right) => left.bytes - right.bytes);
  const perSecond = (bytes: number): string => `${formatBytes(bytes)}/s`;
  if (least === undefined) {
    const written = perSecond(guest.dirtyBytesPerSecond ?? 0);
    return `it writes ${written} and gets ${perSecond(rate)}: pre-copy does not end, and neither post-copy nor a pause is open to it`;
  }
  if (timeLeft <= 0) return 'no time is left for it before the deadline';
  if (least.seconds > timeLeft) {
    const needs = `${formatDuration(least.seconds * 1000)} for ${formatBytes(least.bytes)} at ${perSecond(rate)}`;
    return `it needs ${needs}; ${formatDuration(timeLeft * 1000)} are left for it before the deadline`;
  }
  return `it sends ${formatBytes(least.bytes)} at the least; ${formatBytes(Math.max(0, budgetLeft))} of the budget are left for it`;
}
