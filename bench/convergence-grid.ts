import type { CommandRun } from './godwit.ts';

/** The points of `convergence`, and how the moves of one point are compared. */

export interface Point {
  /** Of the link. */
  readonly dirty: number;
  /** Of the guest's memory. */
  readonly set: number;
}

const DIRTY = [0.2, 0.5, 0.8, 1, 1.5, 3] as const;
const SETS = [0.05, 0.2, 0.5, 0.8] as const;

export const WHOLE: readonly Point[] = DIRTY.flatMap((dirty) =>
  SETS.map((set) => ({ dirty, set })),
);
/** Easy ones, and ones that are hopeless by pre-copy alone. */
export const FEW: readonly Point[] = [
  { dirty: 3, set: 0.2 },
  { dirty: 0.5, set: 0.2 },
  { dirty: 1.5, set: 0.5 },
  { dirty: 1, set: 0.2 },
  { dirty: 3, set: 0.5 },
  { dirty: 1.5, set: 0.05 },
];

/** Those that are named by their numbers in the whole grid, from 1: `2,5-7`. Throws for what names none. */
export function pointsOf(text: string): readonly Point[] {
  const numbers = text.split(',').flatMap((part) => {
    const [, first, last = first] = /^(\d{1,2})(?:-(\d{1,2}))?$/.exec(part) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (from >= 1 && from <= to && to <= WHOLE.length)
      return Array.from({ length: to - from + 1 }, (_, index) => from + index);
    throw new RangeError(`--points ${part}: a number from 1 to ${WHOLE.length}, or two as 2-7`);
  });
  return [...new Set(numbers)].flatMap((number) => WHOLE[number - 1] ?? []);
}

export const WAYS = ['standard', 'must-finish', 'qemu', 'auto-converge', 'postcopy'] as const;
export type ConvergenceMethod = (typeof WAYS)[number];

/** What one move came to. */
export interface MoveResult {
  readonly point: Point;
  readonly way: ConvergenceMethod;
  readonly finished: boolean;
  /** Until its end, or until it was cut or given up, ms. */
  readonly totalMs: number;
  readonly downtimeMs?: number;
  /** Of the guest's work meanwhile, at the rate of before, s. */
  readonly lostS: number;
}

export function nameOf({ dirty, set }: Point): string {
  return `dirty ${dirty}x, set ${Math.round(set * 100)} %`;
}

export function downtimeOf({ report }: CommandRun): { downtimeMs?: number } {
  const ms = report.blackoutMs ?? report.downtimeMs;
  return ms === undefined ? {} : { downtimeMs: ms };
}

/** Seconds of work that a guest lost in `wallMs`, by the rate at which it wrote before; never less than none. */
export function lostOf(wallMs: number, writtenBytes: number, bytesPerSecond: number): number {
  if (bytesPerSecond <= 0) return 0;
  return Math.max(0, wallMs / 1000 - writtenBytes / bytesPerSecond);
}

/** The longest downtime that each move is given, ms. */
export const MAX_DOWNTIME_MS = 300;

/** Seconds until the end and seconds of work lost; nothing is as bad as what does not end, or only beyond its downtime. */
export function costOf(
  { finished, totalMs, downtimeMs = 0, lostS }: MoveResult,
  longestMs: number = MAX_DOWNTIME_MS,
): number {
  return finished && downtimeMs <= longestMs ? totalMs / 1000 + lostS : Infinity;
}

export interface Verdict {
  /** Those that some way got through. */
  readonly points: number;
  /** Points at which some other way ended and Godwit's did not. */
  readonly missed: number;
  /** Points at which Godwit's better strategy costs no more than the best single setting. */
  readonly asGood: number;
}

const OURS: ReadonlySet<ConvergenceMethod> = new Set(['standard', 'must-finish']);

/** By point: the better of the strategies beside the best of the single settings, each within that downtime (ms). */
export function verdictOf(
  tried: readonly MoveResult[],
  longestMs: number = MAX_DOWNTIME_MS,
): Verdict {
  const byPoint = Map.groupBy(tried, ({ point }) => nameOf(point));
  let [points, missed, asGood] = [0, 0, 0];
  for (const moves of byPoint.values()) {
    const best = (isOurs: boolean): number =>
      Math.min(
        ...moves
          .filter(({ way }) => OURS.has(way) === isOurs)
          .map((each) => costOf(each, longestMs)),
      );
    const [ours, others] = [best(true), best(false)];
    if (Math.min(ours, others) === Infinity) continue;
    points += 1;
    if (ours === Infinity) missed += 1;
    else if (ours <= others) asGood += 1;
  }
  return { points, missed, asGood };
}
