import type { CurvePoint } from '../../protocol/public/prediction.ts';

/** Working set curve: memory that a guest writes within a window. Pure. */

/** Common window for comparing rates: rewrites count less in longer windows. */
export const RATE_WINDOW_MS = 3000;

/**
 * Bytes written at least once within `windowMs`, limited to all memory. Linear between measured windows, from zero,
 * and beyond the last window. This is low between windows, because real writes grow more slowly in longer ones.
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

export function rateWithin({ windowMs, dirtyBytes }: CurvePoint): number {
  return Math.round((dirtyBytes * 1000) / Math.max(1, windowMs));
}

/** bytes/s in the common window; undefined without a curve. */
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

/** Sorted by window, without duplicates. A longer window with fewer writes is a sampling error. */
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
