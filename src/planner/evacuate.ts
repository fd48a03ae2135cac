import { END_MS, START_MS } from '../migration/prediction/parameters.ts';
import { formatBytes, formatDuration } from '../protocol/quantity.ts';
import { MAX_DIRTY } from './cost.ts';
import { bytesOf } from './destinations.ts';
import type { PlannerGuest } from './inventory.ts';

/**
 * Which guests leave a site over one thin line by a deadline, in which order and how. Guests go by their priority; of
 * equals the one that is over soonest goes first, so that more of them make it. A guest that does not fit into what those
 * of a higher priority leave of the time and of the budget is left and named, and a smaller one may go in that time. Pure.
 */

/** `pause`: pre-copy, at whose end the guest is paused for all that it writes again and again. */
export type How = 'precopy' | 'postcopy' | 'pause';

export interface Leaver {
  readonly guest: PlannerGuest;
  readonly to: string;
  /** The greater one goes first. */
  readonly priority: number;
  /** What its own host predicts that its memory takes; absent where nobody measured it. Pre-copy that would not end has none. */
  readonly size?: {
    readonly precopyBytes?: number | undefined;
    readonly postcopyBytes?: number | undefined;
  };
  /** Of disks that are copied. */
  readonly diskBytes: number;
  /** Its owner is notified so long ahead, s. */
  readonly noticeSeconds: number;
  readonly mayPostcopy: boolean;
  /** For how long it may be paused, s; 0: not at all. */
  readonly maxPauseSeconds: number;
}

export interface Line {
  /** What it carries, and the most that one move takes of it, bytes/s. */
  readonly bytesPerSecond: number;
  readonly mostPerMove: number;
  readonly deadlineSeconds: number;
  /** What may go over it from now on; absent: as much as there is. */
  readonly budgetBytes?: number;
  /** s until each of the moves ends that are under way. */
  readonly running: readonly number[];
  /** Moves at a time, at most. */
  readonly mostAtOnce: number;
}

export interface Leaving {
  readonly guest: string;
  readonly to: string;
  readonly priority: number;
  readonly how: How;
  /** s from now. */
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
  /** In the order in which they start. */
  readonly leaving: readonly Leaving[];
  readonly staying: readonly Staying[];
  /** Moves at a time: what fills the line. */
  readonly lanes: number;
  readonly bytes: number;
}

/** The part of a move that is not its bytes, s. */
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

/** Moves that fill the line together. */
const lanesOf = ({ bytesPerSecond, mostPerMove, mostAtOnce }: Line): number =>
  Math.max(1, Math.min(mostAtOnce, Math.ceil(bytesPerSecond / mostPerMove)));

/** When so few moves go on that one more may begin. */
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

/** Both may be Infinity, whose difference is no number. */
const compare = (left: number, right: number): number => (left === right ? 0 : left - right);

/** How it could go, the gentlest first. */
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

/** Why none of its options fits, with the arithmetic. */
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
