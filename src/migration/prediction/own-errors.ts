import type { Report } from '../../protocol/public/migration.ts';
import type {
  Prediction,
  PredictionOff,
  PredictionWidths,
  Range,
} from '../../protocol/public/prediction.ts';
import { cameTo } from '../report/outcome-figures.ts';
import { LEVEL, MAX_LOOKED_AT, SURE, weightOf } from './parameters.ts';

/** Widths of ranges, from how this host's moves compare with their predictions. Pure. */

const NAMES = [
  'totalMs',
  'memoryMs',
  'bytes',
  'downtimeMs',
] as const satisfies readonly (keyof PredictionWidths)[];

/** Maximum distance from the middle that counts. */
const MAX_OFF = 4;
/** Exponents on the distance from the middle to the end of a range: half to double becomes a quarter to four times. */
const WIDEST = 2;
const NARROWEST = 0.25;

/**
 * Distance of a result from the predicted middle, as a multiple of the distance to the end of the model's range; both
 * as logarithms. Omits figures without such a distance.
 */
export function offOf(report: Report): PredictionOff {
  const { prediction } = report;
  // Ranges of a move that may not end are cut off at the time limit.
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
 * Factors on the ranges, below 1 to narrow them, so that they would have held the claimed share of the latest moves
 * (newest first). The assumption counts as one move.
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

/** Quantile that also holds this share of the next draw: between two values, or the largest of a few. */
function holding(far: readonly number[]): number {
  const sorted = far.toSorted((left, right) => left - right);
  const place = Math.min(sorted.length, (sorted.length + 1) * LEVEL) - 1;
  const [below = 1, above = 1] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return below + (above - below) * (place - Math.floor(place));
}

type Ranges = Pick<Prediction, 'totalMs' | 'memoryMs' | 'bytes' | 'downtimeMs' | 'clientGapMs'>;

/** Applies the widths. Middles stay, and parts stay within their wholes. */
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

/** Keeps a little room on each side that had some, for the next comparison. */
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
