import type { Report } from '../../protocol/public/migration.ts';
import type {
  Prediction,
  PredictionOff,
  PredictionWidths,
  Range,
} from '../../protocol/public/prediction.ts';
import { cameTo } from '../report/outcome-figures.ts';
import { LEVEL, MAX_LOOKED_AT, SURE, weightOf } from './parameters.ts';

/** How wide a range has to be, by what this host's own moves came to beside what was said of them. Pure. */

const NAMES = [
  'totalMs',
  'memoryMs',
  'bytes',
  'downtimeMs',
] as const satisfies readonly (keyof PredictionWidths)[];

/** A move that came out further from the middle says no more than this. */
const MAX_OFF = 4;
/** As exponents of the way from the middle to the end of a range: a range of half to double becomes a quarter to four times. */
const WIDEST = 2;
const NARROWEST = 0.25;

/**
 * How far a move came out from the middle that was said, by the way from there to the end of the range as the model alone
 * has it: 1 is that end. Both as logarithms. Only of what can be said so.
 */
export function offOf(report: Report): PredictionOff {
  const { prediction } = report;
  // The ranges of one that may not end are cut off by the time allowed.
  if (prediction === undefined || prediction.converges.probability < SURE) return {};
  const came = cameTo(report);
  const off: PredictionOff = {};
  for (const name of NAMES) {
    const amount = came[name];
    const far = amount === undefined ? undefined : farFrom(prediction[name], amount);
    if (far === undefined) continue;
    off[name] = Math.min(MAX_OFF, far * (prediction.widths?.[name] ?? 1));
  }
  return off;
}

function farFrom({ low, middle, high }: Range, amount: number): number | undefined {
  const end = amount >= middle ? high : low;
  if (middle <= 0 || end <= 0 || amount <= 0 || end === middle) return undefined;
  return Math.log(amount / middle) / Math.log(end / middle);
}

/**
 * What to widen the ranges by, or to narrow them by below 1, so that they would have held as many of the latest moves
 * (newest first) as the level claims. One move weighs as much as what is assumed.
 */
export function widthsOf(
  latest: readonly { readonly off?: PredictionOff | undefined }[],
): PredictionWidths {
  const widths: PredictionWidths = {};
  for (const name of NAMES) {
    const far = latest.flatMap(({ off }) => off?.[name] ?? []).slice(0, MAX_LOOKED_AT);
    if (far.length === 0) continue;
    const enough = Math.min(WIDEST, Math.max(NARROWEST, holding(far)));
    widths[name] = enough ** weightOf(far.length);
  }
  return widths;
}

/** What holds this share of the next one, too, where all are drawn alike: between two of them, or the farthest of a few. */
function holding(far: readonly number[]): number {
  const sorted = far.toSorted((left, right) => left - right);
  const place = Math.min(sorted.length, (sorted.length + 1) * LEVEL) - 1;
  const [below = 1, above = 1] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return below + (above - below) * (place - Math.floor(place));
}

type Ranges = Pick<Prediction, 'totalMs' | 'memoryMs' | 'bytes' | 'downtimeMs' | 'clientGapMs'>;

/** The ranges with these widths. Each middle stays where it is, and what is a part of another figure stays within it. */
export function widened(ranges: Ranges, widths: PredictionWidths, timeoutMs: number): Ranges {
  const { totalMs: all, clientGapMs: gap, downtimeMs: down } = ranges;
  const wide = wider(all, widths.totalMs);
  const totalMs = { ...wide, high: Math.min(wide.high, Math.max(all.high, timeoutMs)) };
  const memory = wider(ranges.memoryMs, widths.memoryMs);
  const downtimeMs = wider(down, widths.downtimeMs);
  return {
    totalMs,
    memoryMs: {
      ...memory,
      low: Math.min(memory.low, totalMs.low),
      high: Math.min(memory.high, totalMs.high),
    },
    bytes: wider(ranges.bytes, widths.bytes),
    downtimeMs,
    // A client waits as much longer as the guest is paused.
    clientGapMs: {
      ...gap,
      low: Math.max(0, Math.min(gap.middle, gap.low + downtimeMs.low - down.low)),
      high: Math.max(gap.middle, gap.high + downtimeMs.high - down.high),
    },
  };
}

/** A side that had room keeps some: else the next move could not be compared with it. */
function wider({ low, middle, high }: Range, width = 1): Range {
  if (middle <= 0) return { low, middle, high };
  const end = (of: number): number =>
    of <= 0 ? of : Math.min(Number.MAX_SAFE_INTEGER, Math.round(middle * (of / middle) ** width));
  return {
    low: low < middle ? Math.min(middle - 1, Math.max(Math.min(low, 1), end(low))) : low,
    middle,
    high: high > middle ? Math.max(middle + 1, end(high)) : high,
  };
}
