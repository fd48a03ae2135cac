import type { Choice } from './compression.ts';

/** What is known when the level is chosen. */
export interface CodecMeasures {
  /** What the link carries; undefined until it was measured. */
  readonly linkBytesPerS: number | undefined;
  /** Processors that compression may take. May be a fraction. */
  readonly cores: number;
  /** Plain bytes a second that one processor compresses at zstd 1, see `atLevelOne`; undefined until known. */
  readonly bytesPerS: number | undefined;
  /** Plain bytes to wire bytes at zstd 1, of late; undefined until known. */
  readonly ratio: number | undefined;
}

/** A choice that was made, with what it was made on: goes into the report. */
export interface LevelChange {
  readonly atMs: number;
  readonly from: Choice;
  readonly to: Choice;
  readonly measured: CodecMeasures;
  /** Plain bytes a second that were predicted for either. */
  readonly predictedFrom: number;
  readonly predictedTo: number;
}

interface Step extends Choice {
  /** Against zstd 1: how fast, and how large the outcome is. Measured by `npm run bench -- wire-codec`. */
  readonly speed: number;
  readonly size: number;
  /** Of a processor, what it may take: guests share it, and a host short of it shows by how slow the batches are. */
  readonly share: number;
  /** The rate of the link from which it is taken. */
  readonly minLinkBytesPerS?: number;
}

/** 1 Gbit/s, less what its frames take. From here on processor time is worth more than bytes. */
const FAT_BYTES_PER_S = 100e6;

export const NO_COMPRESSION: Choice = { level: 0, windowLog: 0 };
export const FIRST_CHOICE: Choice = { level: 2, windowLog: 22 };
/** Where the link is said to carry 1 Gbit/s or more: a quarter less work than FIRST_CHOICE, 7 % more bytes. */
const FIRST_FAT_CHOICE: Choice = { level: 1, windowLog: 21 };
/** Where the link is said to be thin before it was measured: 1.4 % fewer bytes of a seeded guest at 100 Mbit/s, none of a cold one. */
const FIRST_THIN_CHOICE: Choice = { level: 4, windowLog: 22 };

/**
 * From the cheapest. One context that looks back 4 MiB is as fast as batches of their own, and smaller; but a
 * processor more is of use only to those. Levels 1, 2 and 8 have larger tables than zstd's own (`compression.ts`).
 */
const STEPS: readonly Step[] = [
  { ...FIRST_FAT_CHOICE, speed: 1.2, size: 0.906, share: 0.7, minLinkBytesPerS: FAT_BYTES_PER_S },
  { level: 2, windowLog: 22, speed: 0.94, size: 0.845, share: 0.7 },
  { level: 1, windowLog: 0, speed: 1, size: 1, share: 0.7 },
  { level: 3, windowLog: 0, speed: 0.75, size: 0.915, share: 0.7 },
  { level: 4, windowLog: 22, speed: 0.6, size: 0.81, share: 0.7 },
  { level: 8, windowLog: 23, speed: 0.19, size: 0.74, share: 0.8 },
];

/** zstd 1 on one processor, until it was measured. */
const USUAL_BYTES_PER_S = 400e6;
const USUAL_RATIO = 3;
/** What a batch that is not compressed costs all the same: it is copied and framed. */
const COPY_BYTES_PER_S = 4e9;
/** Below this, content counts as incompressible. */
const MIN_RATIO = 1.05;
/** Others share the link: what could be smaller goes as it is only where that is so many times as fast. */
const SPARING = 4;
/**
 * Content that does not shrink is followed by some that does, and a change takes its time. So where zstd 1 is as fast
 * as the link, each batch is tried: what none lets through then counts for a little less.
 */
const KEPT_TRYING = 0.9;
const CHEAP_SHARE = 0.7;
/**
 * Below this rate bytes decide: everything is tried. A host that is short of processors takes long for a batch by the
 * clock, and would not be less so without.
 */
export const THIN_BYTES_PER_S = 40e6;
/** A change costs the window, so it must promise this much. */
const MIN_GAIN = 1.08;
/** A cheaper choice is as good where it lets through this much of the most: each step up costs a multiple of work. */
const AS_GOOD = 0.93;
export const MIN_CHANGE_MS = 1000;
/**
 * On a thin link the codec takes the smallest outcome with nearly the best throughput, and keeps it until its
 * throughput is clearly lower. The clock tells how much one processor compresses, on a busy host to within a half.
 */
const NEARLY = 0.85;
const CLEARLY_LESS = 0.7;

/** Before anything is measured, by what the link is said to carry. */
export function firstChoice(linkBytesPerS: number | undefined): Choice {
  if (isThin(linkBytesPerS)) return FIRST_THIN_CHOICE;
  return (linkBytesPerS ?? 0) >= FAT_BYTES_PER_S ? FIRST_FAT_CHOICE : FIRST_CHOICE;
}

/** Whether bytes decide; not where the link is not known. */
export function isThin(linkBytesPerS = Infinity): boolean {
  return linkBytesPerS <= THIN_BYTES_PER_S;
}

/**
 * The cheapest choice that lets through about as much as any; `current` again unless another promises
 * clearly more, or as much for less work. On a thin link the smallest one that lets through nearly as much.
 */
export function chooseLevel(current: Choice, measured: CodecMeasures): Choice {
  const { linkBytesPerS, ratio = USUAL_RATIO } = measured;
  return isThin(linkBytesPerS) && ratio >= MIN_RATIO
    ? smallest(current, measured)
    : cheapest(current, measured);
}

function smallest(current: Choice, measured: CodecMeasures): Choice {
  const steps = stepsFor(measured.linkBytesPerS);
  const most = Math.max(...steps.map((step) => predict(step, measured)));
  const nearly = steps.filter((step) => predict(step, measured) >= most * NEARLY);
  const best = nearly.reduce((left, right) => (right.size < left.size ? right : left));
  const now = steps.find((step) => same(step, current));
  const stays =
    now !== undefined && best.size >= now.size && predict(now, measured) >= most * CLEARLY_LESS;
  return stays ? current : { level: best.level, windowLog: best.windowLog };
}

function cheapest(current: Choice, measured: CodecMeasures): Choice {
  const steps = [NO_COMPRESSION, ...stepsFor(measured.linkBytesPerS)];
  const speeds = steps.map((step) => predict(step, measured));
  const most = Math.max(...speeds);
  const best = steps.findIndex((_, at) => (speeds[at] ?? 0) >= most * AS_GOOD);
  const now = steps.findIndex((step) => same(step, current));
  const { level, windowLog } = steps[best] ?? current;
  const better = best < now || (speeds[best] ?? 0) > (speeds[now] ?? 0) * MIN_GAIN;
  return better ? { level, windowLog } : current;
}

/** Plain bytes a second that link and processor let through, as the choice weighs them. */
export function predict(choice: Choice, measured: CodecMeasures): number {
  const ratio = measured.ratio ?? USUAL_RATIO;
  const link = measured.linkBytesPerS ?? Infinity;
  const shrinks = ratio >= MIN_RATIO;
  const first = measured.bytesPerS ?? USUAL_BYTES_PER_S;
  if (choice.level === 0) {
    if (link <= THIN_BYTES_PER_S) return 0;
    const cheap = first * measured.cores * CHEAP_SHARE >= link;
    const share = shrinks ? 1 / SPARING : cheap ? KEPT_TRYING : 1;
    return Math.min(COPY_BYTES_PER_S, link * share);
  }
  const step = stepOf(choice);
  const cores = choice.windowLog > 0 ? Math.min(1, measured.cores) : measured.cores;
  const compressed = shrinks ? Math.max(1, ratio / step.size) : 1;
  return Math.min(first * step.speed * cores * step.share, link * compressed);
}

/** Speed and ratio as they would be at zstd 1, from what they are under a choice. */
export function atLevelOne(
  choice: Choice,
  bytesPerS: number,
  ratio: number,
): { bytesPerS: number; ratio: number } {
  const step = stepOf(choice);
  if (ratio < MIN_RATIO) return { bytesPerS, ratio };
  return { bytesPerS: bytesPerS / step.speed, ratio: ratio * step.size };
}

function stepsFor(linkBytesPerS = 0): readonly Step[] {
  return STEPS.filter(({ minLinkBytesPerS = 0 }) => linkBytesPerS >= minLinkBytesPerS);
}

function same(left: Choice, right: Choice): boolean {
  return left.level === right.level && left.windowLog === right.windowLog;
}

function stepOf(choice: Choice): Step {
  const step = STEPS.find((each) => same(each, choice));
  if (step === undefined) {
    throw new RangeError(`level ${choice.level} with window ${choice.windowLog} is no choice`);
  }
  return step;
}
