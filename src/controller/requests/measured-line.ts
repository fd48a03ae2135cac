import type { MeasuredLine } from '../../protocol/controller/measured-line.ts';
import type { LinkMeasure } from '../../protocol/public/prediction.ts';
import type { SiteLink } from '../site-map.ts';

/** Compared hosts: with three, one wrong or lying host decides nothing. */
export const MAX_MEASURES = 3;

export interface Measure {
  readonly by: string;
  readonly link: LinkMeasure;
}

/**
 * The median of three, or the lower of two, but never more than the map of sites allows: a host could promise too much.
 * Undefined without measurements.
 */
export function measuredLine(
  measures: readonly Measure[],
  map: Pick<SiteLink, 'bytesPerS' | 'roundTripMs'> | undefined,
): MeasuredLine | undefined {
  const used = measures.slice(0, MAX_MEASURES);
  if (used.length === 0) return undefined;
  const rate = careful(
    used.map(({ link }) => link.rate),
    'least',
  );
  const roundTripMs = careful(
    used.map(({ link }) => link.roundTripMs ?? 0),
    'most',
  );
  return {
    bytesPerS: Math.floor(Math.min(rate, map?.bytesPerS ?? Infinity)),
    roundTripMs: Math.max(roundTripMs, map?.roundTripMs ?? 0),
    by: used.map(({ by }) => by),
  };
}

function careful(values: readonly number[], safe: 'least' | 'most'): number {
  const sorted = values.toSorted((left, right) => left - right);
  const at = sorted.length === MAX_MEASURES ? 1 : safe === 'least' ? 0 : sorted.length - 1;
  return sorted[at] ?? 0;
}

/** Form for hosts that measure nothing themselves. */
export const linkMeasureOf = ({ bytesPerS, roundTripMs }: MeasuredLine): LinkMeasure => {
  return { rate: bytesPerS, how: 'measured', roundTripMs };
};
