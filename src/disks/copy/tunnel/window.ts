import type { LinkMeasure } from '../../../links/session.ts';

/** What passes through both movers and the far kernel takes so long beside the link, ms. */
const WORK_MS = 10;
/** More is let out than is known to fit, so that a faster link shows itself. */
const GAIN = 2;
const MIN_BYTES = 256 * 1024;
const MAX_BYTES = 48 * 1024 * 1024;
/** While the rate is not known: enough that the link is busy for as long as it takes to measure it. */
const FIRST_BYTES = 4 * 1024 * 1024;

/** How much may be under way: enough to fill the link, and little enough that a guest's write does not wait behind it. */
export function windowFor({
  bytesPerS,
  roundTripMs,
}: Pick<LinkMeasure, 'bytesPerS' | 'roundTripMs'>): number {
  if (bytesPerS === 0) return FIRST_BYTES;
  const fits = (GAIN * bytesPerS * (roundTripMs + WORK_MS)) / 1000;
  return Math.min(MAX_BYTES, Math.max(fits, MIN_BYTES));
}
