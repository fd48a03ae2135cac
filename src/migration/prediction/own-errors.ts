import type { Report } from '../../protocol/public/migration.ts';
import type { PredictionOff, PredictionWidths, Range } from '../../protocol/public/prediction.ts';
import { LEVEL, MOST_LOOKED_AT, SURE, weightOf } from './parameters.ts';

/** How wide a range has to be, by what this host's own moves came to beside what was said of them. Pure. */

/** Each figure, and what a move came to. */
const FIGURES: Readonly<Record<keyof PredictionWidths, (report: Ended) => number | undefined>> = {
  totalMs: ({ totalMs }) => totalMs,
  memoryMs: ({ phases }) =>
    phases
      .filter(({ phase }) => phase === 'memory' || phase === 'draining')
      .reduce((sum, { ms }) => sum + ms, 0),
  bytes: ({ bytes }) => bytes,
  downtimeMs: ({ downtimeMs }) => downtimeMs,
};
const NAMES = Object.keys(FIGURES) as (keyof PredictionWidths)[];

type Ended = Pick<Report, 'totalMs' | 'phases' | 'bytes' | 'downtimeMs'>;

/** A range becomes no narrower, and no wider, than by this factor. */
const MOST = 4;

/**
 * How far a move came out from the middle that was said, by the way from there to the end of the range as the model alone
 * has it: 1 is that end. Only of what can be said so.
 */
export function offOf({
  prediction,
  ...report
}: Ended & Pick<Report, 'prediction'>): PredictionOff {
  // The ranges of one that may not end are cut off by the time allowed.
  if (prediction === undefined || prediction.converges.probability < SURE) return {};
  const off: PredictionOff = {};
  for (const name of NAMES) {
    const cameTo = FIGURES[name](report);
    const far = cameTo === undefined ? undefined : farFrom(prediction[name], cameTo);
    if (far === undefined) continue;
    off[name] = Math.min(MOST, far * (prediction.widths?.[name] ?? 1));
  }
  return off;
}

function farFrom({ low, middle, high }: Range, cameTo: number): number | undefined {
  const end = cameTo >= middle ? high : low;
  if (middle <= 0 || end <= 0 || cameTo <= 0 || end === middle) return undefined;
  return Math.log(cameTo / middle) / Math.log(end / middle);
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
    const far = latest.flatMap(({ off }) => off?.[name] ?? []).slice(0, MOST_LOOKED_AT);
    if (far.length === 0) continue;
    // The smallest that holds this share of the next one, too, where all are drawn alike.
    const place = Math.min(far.length, Math.ceil((far.length + 1) * LEVEL)) - 1;
    const enough = far.toSorted((left, right) => left - right)[place] ?? 1;
    widths[name] = Math.min(MOST, Math.max(1 / MOST, enough)) ** weightOf(far.length);
  }
  return widths;
}

/** The middle stays where it is. */
export function widened({ low, middle, high }: Range, width = 1): Range {
  if (middle <= 0 || low <= 0) return { low, middle, high };
  const edge = (end: number): number => Math.round(middle * (end / middle) ** width);
  return { low: Math.min(middle, edge(low)), middle, high: Math.max(middle, edge(high)) };
}
