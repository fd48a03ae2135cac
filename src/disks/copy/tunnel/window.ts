import type { LinkMeasure } from '../../../links/session.ts';

/** Time in both movers and the far kernel, without the link, ms. */
const WORK_MS = 10;
/** Factor on the known capacity, so that a faster link is noticed. */
const GAIN = 2;
const MIN_BYTES = 256 * 1024;
const MAX_BYTES = 48 * 1024 * 1024;
/** Window while the rate is unknown; keeps the link busy long enough to measure it. */
const FIRST_BYTES = 4 * 1024 * 1024;

/** Bytes allowed in flight: enough to fill the link, but guest writes must not wait long behind them. */
export function windowFor({
  bytesPerS,
  roundTripMs,
}: Pick<LinkMeasure, 'bytesPerS' | 'roundTripMs'>): number {
  if (bytesPerS === 0) return FIRST_BYTES;
  const fits = (GAIN * bytesPerS * (roundTripMs + WORK_MS)) / 1000;
  return Math.min(MAX_BYTES, Math.max(fits, MIN_BYTES));
}
