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

/** What a site's own migrations say of the times that no measurement beforehand shows. Pure. */

/** Checks, both movers, the destination's hypervisor, the switch, hooks, and what is tidied up. */
const AROUND: readonly Phase[] = [
  'checking',
  'preparing',
  'switchover',
  'handover',
  'verifying',
  'cleanup',
];

/** What is assumed of the times around memory on a host whose processes take so long to start, ms. */
export function assumedAroundMs(startedMs: number = STARTED_MS): number {
  const slower = startedMs / STARTED_MS;
  return AROUND_MS * Math.min(SLOWER.most, Math.max(SLOWER.least, slower));
}

/**
 * The median of what these migrations (newest first) took around their memory, ms. A few lie between that and what is
 * assumed, which it is where none shows it.
 */
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
  // One move differs from the next by far less than one machine from another.
  return assumedMs * (seen / assumedMs) ** weightOf(took.length, AROUND_ASSUMED_COUNTS);
}

/** For how long a guest is paused depends on this. */
export interface Kind {
  readonly finished: 'precopy' | 'postcopy';
  readonly byWire: boolean;
  /** Over more than one stream. */
  readonly several: boolean;
  readonly maxDowntimeMs: number;
}

/** What a few moves say of the downtime is believed up to here: one long downtime is no rule. */
const MAX_LEARNED = 8;

/**
 * What to multiply by what the model says of the downtime: towards the median of the latest moves of the same kind, as far
 * as these outweigh what is assumed. 1 where there is none.
 */
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

/** Between the two in the middle, by their ratio. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const half = (sorted.length - 1) / 2;
  return Math.sqrt((sorted[Math.floor(half)] ?? 0) * (sorted[Math.ceil(half)] ?? 0));
}
