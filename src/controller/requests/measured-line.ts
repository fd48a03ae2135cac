import type { MeasuredLine } from '../../protocol/controller/measured-line.ts';
import type { LinkMeasure } from '../../protocol/public/prediction.ts';
import type { SiteLink } from '../site-map.ts';

/** Measurements of the line between two sites by the hosts of one, and the part of them that a plan may use. Pure. */

/** Hosts whose measurements are compared: of three, one that is wrong or lies decides nothing. */
export const MAX_MEASURES = 3;

export interface Measure {
  readonly by: string;
  readonly link: LinkMeasure;
}

/**
 * The one in the middle of three; of two the more careful one. Never more than the map of sites says that the line carries:
 * a host that names more promises what cannot be kept. Undefined where nobody has measured it.
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

/** As it is given to hosts that measure nothing themselves. */
export const linkMeasureOf = ({ bytesPerS, roundTripMs }: MeasuredLine): LinkMeasure => {
  return { rate: bytesPerS, how: 'measured', roundTripMs };
};
