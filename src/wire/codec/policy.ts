import type { Choice } from './compression.ts';

export interface CodecMeasures {
  /** Measured rate of the link; undefined before. */
  readonly linkBytesPerS: number | undefined;
  /** Processors for compression, possibly a fraction. */
  readonly cores: number;
  /** Plain bytes per second of one processor at zstd 1, see `atLevelOne`; undefined until known. */
  readonly bytesPerS: number | undefined;
  /** Recent ratio of plain to wire bytes at zstd 1; undefined until known. */
  readonly ratio: number | undefined;
}

/** Change with its inputs, for the report. */
export interface LevelChange {
  readonly atMs: number;
  readonly from: Choice;
  readonly to: Choice;
  readonly measured: CodecMeasures;
  /** Predicted plain bytes per second of each choice. */
  readonly predictedFrom: number;
  readonly predictedTo: number;
}

interface Step extends Choice {
  /** Speed and output size relative to zstd 1, measured by `npm run bench -- wire-codec`. */
  readonly speed: number;
  readonly size: number;
  /** Share of a processor: guests share it, and a busy host shows as slow batches. */
  readonly share: number;
  /** Link rate from which it is used. */
  readonly minLinkBytesPerS?: number;
}

/** 1 Gbit/s minus framing. From here on processor time matters more than bytes. */
const FAT_BYTES_PER_S = 100e6;

export const NO_COMPRESSION: Choice = { level: 0, windowLog: 0 };
export const FIRST_CHOICE: Choice = { level: 2, windowLog: 22 };
/** First choice for an assumed rate of 1 Gbit/s or more: a quarter less work than FIRST_CHOICE, 7 % more bytes. */
const FIRST_FAT_CHOICE: Choice = { level: 1, windowLog: 21 };
/**
 * First choice for a link that is assumed to be thin: 1.4 % fewer bytes for a seeded guest at 100 Mbit/s, no
 * difference for a cold one.
 */
const FIRST_THIN_CHOICE: Choice = { level: 4, windowLog: 22 };

/**
 * Cheapest first. One context with a window of 4 MiB is as fast as independent batches, and smaller, but only
 * independent batches use another processor. Levels 1, 2 and 8 have larger tables than zstd's
 * (`compression.ts`).
 */
const STEPS: readonly Step[] = [
  { ...FIRST_FAT_CHOICE, speed: 1.2, size: 0.906, share: 0.7, minLinkBytesPerS: FAT_BYTES_PER_S },
  { level: 2, windowLog: 22, speed: 0.94, size: 0.845, share: 0.7 },
  { level: 1, windowLog: 0, speed: 1, size: 1, share: 0.7 },
  { level: 3, windowLog: 0, speed: 0.75, size: 0.915, share: 0.7 },
  { level: 4, windowLog: 22, speed: 0.6, size: 0.81, share: 0.7 },
  { level: 8, windowLog: 23, speed: 0.19, size: 0.74, share: 0.8 },
];

/** zstd 1 on one processor, before a measurement. */
const USUAL_BYTES_PER_S = 400e6;
const USUAL_RATIO = 3;
/** Cost of an uncompressed batch, which is copied and framed. */
const COPY_BYTES_PER_S = 4e9;
/** Lower ratios count as incompressible. */
const MIN_RATIO = 1.05;
/** The link is shared: compressible data is sent uncompressed only if that is this many times as fast. */
const SPARING = 4;
/**
 * Incompressible content is often followed by compressible content, and a change takes time. If zstd 1 is as
 * fast as the link, each batch is therefore tried, and the rate without compression is weighted slightly lower.
 */
const KEPT_TRYING = 0.9;
const CHEAP_SHARE = 0.7;
/**
 * Below this rate bytes decide and everything is tried. On a host with few processors a batch takes long by the
 * clock, with or without compression.
 */
export const THIN_BYTES_PER_S = 40e6;
/** A change costs the window, so it must promise this gain. */
const MIN_GAIN = 1.08;
/** A cheaper choice is sufficient with this share of the best rate: each step up costs a multiple of work. */
const AS_GOOD = 0.93;
export const MIN_CHANGE_MS = 1000;
/**
 * On a thin link the codec takes the smallest output with nearly the best throughput, and keeps it until its
 * throughput is clearly lower. On a busy host the measured speed of one processor is accurate only to within a
 * half.
 */
const NEARLY = 0.85;
const CLEARLY_LESS = 0.7;

/** Choice before a measurement, by the assumed rate. */
export function firstChoice(linkBytesPerS: number | undefined): Choice {
  if (isThin(linkBytesPerS)) return FIRST_THIN_CHOICE;
  return (linkBytesPerS ?? 0) >= FAT_BYTES_PER_S ? FIRST_FAT_CHOICE : FIRST_CHOICE;
}

/** True if bytes decide; false for an unknown link. */
export function isThin(linkBytesPerS = Infinity): boolean {
  return linkBytesPerS <= THIN_BYTES_PER_S;
}

/**
 * Cheapest choice with about the best rate; keeps `current` unless another promises clearly more, or as much for
 * less work. On a thin link the smallest one with nearly the best rate.
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

/** Plain bytes per second through link and processor, as weighted by the choice. */
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

/** Speed and ratio converted from a choice to zstd 1. */
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
