import type { Phase, Report } from '../../protocol/public/migration.ts';
import {
  AROUND_ASSUMED_COUNTS,
  AROUND_MS,
  ENOUGH_MOVES,
  MAX_LOOKED_AT,
  SLOWER,
  STARTED_MS,
  weightOf,
} from './parameters.ts';

/** Times that cannot be measured beforehand, from a site's migrations. Pure. */

/** Checks, both movers, the destination's hypervisor, the switchover, hooks and cleanup. */
const AROUND: readonly Phase[] = [
  'checking',
  'preparing',
  'switchover',
  'handover',
  'verifying',
  'cleanup',
];

/** Assumed time around memory for this start time of processes, ms. */
export function assumedAroundMs(startedMs: number = STARTED_MS): number {
  const slower = startedMs / STARTED_MS;
  return AROUND_MS * Math.min(SLOWER.most, Math.max(SLOWER.least, slower));
}

/** Median time around memory of these migrations (newest first), ms, weighted against the assumption. */
export function aroundMs(
  reports: Iterable<Pick<Report, 'outcome' | 'finished' | 'phases'>>,
  assumedMs: number,
): number {
  const took: number[] = [];
  for (const { outcome, finished, phases } of reports) {
    if (outcome !== 'done' || finished === undefined) continue;
    const around = phases.filter(({ phase }) => AROUND.includes(phase));
    took.push(around.reduce((sum, { ms }) => sum + ms, 0));
    if (took.length === MAX_LOOKED_AT) break;
  }
  if (took.length === 0) return assumedMs;
  const seen = medianOf(took);
  if (took.length >= ENOUGH_MOVES) return seen;
  // Moves on one machine differ far less than machines do.
  return assumedMs * (seen / assumedMs) ** weightOf(took.length, AROUND_ASSUMED_COUNTS);
}

export interface Kind {
  readonly finished: 'precopy' | 'postcopy';
  readonly byWire: boolean;
  readonly several: boolean;
  readonly maxDowntimeMs: number;
}

/** Maximum factor learned from a few moves; one long downtime is not a rule. */
const MAX_LEARNED = 8;

/** Factor on the predicted downtime: weighted median of the latest moves of the same kind. 1 if there are none. */
export function learnedFactor(
  saidMs: number,
  kind: Kind,
  moves: readonly (Kind & { readonly downtimeMs: number })[],
): number {
  const same = moves.filter(
    (move) =>
      move.finished === kind.finished &&
      move.byWire === kind.byWire &&
      move.several === kind.several &&
      move.maxDowntimeMs === kind.maxDowntimeMs,
  );
  const latest = same.slice(0, MAX_LOOKED_AT).map(({ downtimeMs }) => downtimeMs);
  if (latest.length === 0 || saidMs <= 0) return 1;
  const ratio = medianOf(latest) / saidMs;
  const factor = ratio ** weightOf(latest.length);
  return Math.min(MAX_LEARNED, Math.max(1 / MAX_LEARNED, factor));
}

/** Geometric mean of the two middle values. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const half = (sorted.length - 1) / 2;
  return Math.sqrt((sorted[Math.floor(half)] ?? 0) * (sorted[Math.ceil(half)] ?? 0));
}
