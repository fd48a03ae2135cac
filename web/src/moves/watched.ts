/** What a page knows of one migration, from what is reported of it. Pure. */
import {
  atLeast,
  NOTHING,
  percentAfter,
  type PercentState,
} from '../../../src/migration/percent.ts';
import type {
  FleetMigrationDetail,
  MigrationNews,
} from '../../../src/protocol/controller/history.ts';
import { isEnd } from '../../../src/protocol/public/end-phases.ts';
import type { Progress, Report } from '../../../src/protocol/public/migration.ts';

/** One look at the memory stream; `atMs` since the migration was asked for, bytes, bytes/s. */
export interface Point {
  readonly atMs: number;
  readonly round: number;
  readonly sentBytes: number;
  readonly leftBytes: number;
  readonly rate: number;
  readonly dirtyRate: number;
  /** Of the guest's processor, %. */
  readonly throttle: number;
}

export interface WatchedMigration {
  readonly shown: PercentState;
  readonly progress?: Progress;
  /** As it was last reported; of one that goes on, what it is so far. */
  readonly report?: Report;
  /** Oldest first. */
  readonly points: readonly Point[];
  /** Why nothing is reported at the moment. */
  readonly silent?: string;
  /** Its stream was refused or broke: the controller has to be asked instead. */
  readonly isCut: boolean;
  readonly isOver: boolean;
}

export const UNSEEN: WatchedMigration = { shown: NOTHING, points: [], isCut: false, isOver: false };

/** Where the stream says nothing, the controller is asked so often, ms. */
const LOOK_MS = 2000;

/** How often the controller is asked beside the stream, ms; undefined: not at all. */
export function askingEveryMs({ silent, isCut, isOver }: WatchedMigration): number | undefined {
  return !isOver && (isCut || silent !== undefined) ? LOOK_MS : undefined;
}

/** What the stream reports, and what the page was answered besides. */
export type WatchEvent =
  | WithoutId<MigrationNews>
  | { readonly type: 'stream'; readonly isOpen: boolean }
  | { readonly type: 'answer'; readonly detail: FleetMigrationDetail };
type WithoutId<News> = News extends unknown ? Omit<News, 'id'> : never;

/** A chart does not show more of them; when there are, every other one goes. */
export const MAX_POINTS = 600;

/** What is known after one more piece of news. The percentage never runs backwards, nor does the time of the points. */
export function watchedAfter(before: WatchedMigration, heard: WatchEvent): WatchedMigration {
  switch (heard.type) {
    case 'progress':
      return withProgress(before, heard.progress);
    case 'report':
      return withReport(before, heard.report);
    case 'silent':
      return { ...before, silent: heard.words };
    case 'stream':
      return { ...before, isCut: !heard.isOpen };
    case 'ended':
      return over(before, heard.migration.outcome === 'done');
    case 'answer': {
      const { detail } = heard;
      if (detail.state === 'ended') {
        const last = over(before, detail.outcome === 'done');
        return detail.report === undefined ? last : { ...last, report: detail.report };
      }
      const reported = { ...before, shown: atLeast(before.shown, detail.percent ?? 0) };
      const first = detail.report === undefined ? reported : withReport(reported, detail.report);
      return detail.progress === undefined ? first : withProgress(first, detail.progress);
    }
  }
}

function over(before: WatchedMigration, isDone: boolean): WatchedMigration {
  const { silent: _was, ...rest } = before;
  const shown: PercentState = { percent: isDone ? 100 : before.shown.percent, heads: 'ended' };
  return { ...rest, shown, isOver: true };
}

function withProgress(before: WatchedMigration, progress: Progress): WatchedMigration {
  // An answer that was under way while the stream reported later.
  const isOld = progress.elapsedMs < (before.progress?.elapsedMs ?? 0);
  if (isOld || before.isOver) return before;
  const { silent: _was, ...rest } = before;
  const shown = percentAfter(before.shown, progress);
  return { ...rest, shown, progress, points: withPoint(before.points, progress) };
}

function withPoint(
  points: readonly Point[],
  { elapsedMs, phase, sample }: Progress,
): readonly Point[] {
  const last = points.at(-1);
  const isOfMemory = phase === 'memory' || phase === 'switchover' || phase === 'draining';
  if (sample === undefined || !isOfMemory || elapsedMs <= (last?.atMs ?? -1)) return points;
  const point = {
    atMs: elapsedMs,
    round: sample.round,
    sentBytes: sample.transferredBytes,
    leftBytes: sample.remainingBytes,
    rate: sample.rate,
    dirtyRate: sample.dirtyRate,
    throttle: sample.throttlePercent ?? 0,
  };
  return bounded([...points, point]);
}

/** Rounds that ended before the page looked are points too. */
function withReport(before: WatchedMigration, report: Report): WatchedMigration {
  if (before.isOver) return before;
  const firstMs = before.points[0]?.atMs ?? Infinity;
  const earlier = report.roundList
    .filter(({ atMs }) => atMs < firstMs)
    .map((each): Point => ({
      atMs: each.atMs,
      round: each.round,
      sentBytes: each.transferredBytes,
      leftBytes: each.remainingBytes,
      rate: each.rate,
      dirtyRate: each.dirtyRate,
      throttle: each.throttlePercent ?? 0,
    }));
  const points = earlier.length === 0 ? before.points : bounded([...earlier, ...before.points]);
  return { ...before, report, points };
}

function bounded(points: readonly Point[]): readonly Point[] {
  if (points.length <= MAX_POINTS) return points;
  return points.filter((_, at) => at % 2 === 0 || at === points.length - 1);
}

/** True where cancelling is still possible, and what it does, in words; by the phase that was last reported. */
export function cancelling({ phase, from, to }: Pick<Progress, 'phase' | 'from' | 'to'>): {
  readonly isPossible: boolean;
  readonly words: string;
} {
  if (isEnd(phase)) return { isPossible: false, words: 'It has already ended.' };
  switch (phase) {
    case 'planned':
    case 'checking':
      return {
        isPossible: true,
        words: `Nothing has been changed yet. The guest keeps running at ${from}.`,
      };
    case 'seeding':
    case 'preparing':
      return {
        isPossible: true,
        words: `The resources made for it on ${to} are removed. The guest keeps running at ${from}; it was never stopped.`,
      };
    case 'disks':
      return {
        isPossible: true,
        words: `The copies of its disks on ${to} are removed. The guest keeps running at ${from}; it was never stopped.`,
      };
    case 'memory':
      return {
        isPossible: true,
        words: `The transferred memory is dropped, and the paused guest on ${to} is removed. The guest keeps running at ${from}. After the start of the switchover, a cancel is refused.`,
      };
    case 'undoing':
      return {
        isPossible: false,
        words: `It is already being rolled back; the guest keeps running at ${from}.`,
      };
    case 'switchover':
    case 'handover':
    case 'draining':
    case 'verifying':
    case 'cleanup':
      return {
        isPossible: false,
        words: `The switchover has begun: the guest belongs to ${to}. To get it back, move it again.`,
      };
  }
}
