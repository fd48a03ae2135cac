/** The load of a guest around its move. Pure. */
import type { GuestSamplePoint } from '../../../src/protocol/controller/fleet.ts';

const HOUR_MS = 3_600_000;
/** Means of five minutes are kept for three hours; older moves have means of an hour. */
const LOOKS_MS = 2.5 * HOUR_MS;
const AROUND_MS = { look: HOUR_MS, hour: 24 * HOUR_MS } as const;
/** A line needs a point before and a point after the move. */
const MIN_POINTS = 2;

export interface Stretch {
  readonly startMs: number;
  readonly endMs: number;
}

/** The span of samples that the controller stores for the time of the move. */
export function spanFor({ endMs }: Stretch, nowMs: number): 'look' | 'hour' {
  return nowMs - endMs < LOOKS_MS ? 'look' : 'hour';
}

/** The points from before to after the move; none if it has none on one of both sides. */
export function pointsAround(
  points: readonly GuestSamplePoint[],
  { startMs, endMs }: Stretch,
  span: 'look' | 'hour',
): readonly { readonly atMs: number; readonly cores: number }[] {
  const around = AROUND_MS[span];
  const found = points
    .map(({ at, cores }) => ({ atMs: Date.parse(at), cores }))
    .filter(({ atMs }) => atMs >= startMs - around && atMs <= endMs + around);
  const isBefore = found.some(({ atMs }) => atMs < startMs);
  const isAfter = found.some(({ atMs }) => atMs >= endMs);
  return isBefore && isAfter && found.length >= MIN_POINTS ? found : [];
}
