import type { CurvePoint } from '../../protocol/public/prediction.ts';

/** The working set’s curve: how much of its memory a guest writes within a window. Pure. */

/** In which rates of several looks are compared: what is written over and over counts for less in a longer window. */
export const RATE_WINDOW_MS = 3000;

/**
 * Bytes that are written at least once within `windowMs`, never more than all of memory. Between two measured windows
 * the curve is straight, and before the first it is straight from zero. Real writes grow more slowly in longer windows,
 * so this rather reckons too little than too much. After the last it goes on as it went last.
 */
export function dirtiedWithin(
  curve: readonly CurvePoint[],
  windowMs: number,
  memoryBytes: number,
): number {
  let before: CurvePoint = { windowMs: 0, dirtyBytes: 0 };
  let slope = 0;
  for (const point of rising(curve)) {
    slope = (point.dirtyBytes - before.dirtyBytes) / (point.windowMs - before.windowMs);
    if (windowMs <= point.windowMs) break;
    before = point;
  }
  return Math.min(memoryBytes, before.dirtyBytes + slope * Math.max(0, windowMs - before.windowMs));
}

/** bytes/s of a guest that goes on as in that window. */
export function rateWithin({ windowMs, dirtyBytes }: CurvePoint): number {
  return Math.round((dirtyBytes * 1000) / Math.max(1, windowMs));
}

/** bytes/s as looks with other windows are compared with it; undefined of one that has none. */
export function comparableRate({
  curve,
  memoryBytes,
}: {
  readonly curve: readonly CurvePoint[];
  readonly memoryBytes: number;
}): number | undefined {
  if (curve.length === 0) return undefined;
  const dirtyBytes = dirtiedWithin(curve, RATE_WINDOW_MS, memoryBytes);
  return rateWithin({ windowMs: RATE_WINDOW_MS, dirtyBytes });
}

/** By window, each once. A longer look that saw less is a matter of the sample. */
function rising(curve: readonly CurvePoint[]): CurvePoint[] {
  const points: CurvePoint[] = [];
  let most = 0;
  for (const { windowMs, dirtyBytes } of curve.toSorted((a, b) => a.windowMs - b.windowMs)) {
    most = Math.max(most, dirtyBytes);
    if (windowMs <= (points.at(-1)?.windowMs ?? 0)) continue;
    points.push({ windowMs, dirtyBytes: most });
  }
  return points;
}
