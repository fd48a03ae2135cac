import type { Phase, Report } from '../../protocol/public/migration.ts';
import type { PredictionOff } from '../../protocol/public/prediction.ts';
import { offOf } from './own-errors.ts';
import { AROUND_MS, MOST_LOOKED_AT, weightOf } from './parameters.ts';

/** What a site's own migrations say of the times that no measurement beforehand shows. Pure. */

/** So many are taken at their word. */
const ENOUGH = 3;
/** Checks, both movers, the destination's hypervisor, the switch, hooks, and what is tidied up. */
const AROUND: readonly Phase[] = [
  'checking',
  'preparing',
  'switchover',
  'handover',
  'verifying',
  'cleanup',
];

/**
 * The median of what these migrations (newest first) took around their memory, ms. A few lie between that and what is
 * assumed. Undefined where none shows it.
 */
export function aroundMs(
  reports: Iterable<Pick<Report, 'outcome' | 'finished' | 'phases'>>,
): number | undefined {
  const took: number[] = [];
  for (const { outcome, finished, phases } of reports) {
    if (outcome !== 'done' || finished === undefined) continue;
    const around = phases.filter(({ phase }) => AROUND.includes(phase));
    took.push(around.reduce((sum, { ms }) => sum + ms, 0));
    if (took.length === MOST_LOOKED_AT) break;
  }
  if (took.length === 0) return undefined;
  const seen = medianOf(took);
  if (took.length >= ENOUGH) return seen;
  return AROUND_MS * (seen / AROUND_MS) ** weightOf(took.length);
}

/** For how long a guest is paused depends on this. */
export interface Kind {
  readonly finished: 'precopy' | 'postcopy';
  readonly byWire: boolean;
  /** Over more than one stream. */
  readonly several: boolean;
  readonly maxDowntimeMs: number;
}

/** A migration of this host to another, and for how long its guest was paused. */
export interface OwnMove extends Kind {
  readonly downtimeMs: number;
  /** How far it came out from what had been said of it; absent where nothing was. */
  readonly off?: PredictionOff | undefined;
}

/** The latest of these migrations (newest first) that went to that host, and whose guest was paused. */
export function movesTo(to: string, reports: Iterable<Report>): OwnMove[] {
  const moves: OwnMove[] = [];
  for (const report of reports) {
    const { outcome, finished, settings, stream, wire, downtimeMs = 0, to: went } = report;
    if (outcome !== 'done' || went !== to || downtimeMs <= 0) continue;
    if (finished !== 'precopy' && finished !== 'postcopy') continue;
    const { streams } = stream ?? settings;
    const { maxDowntimeMs } = settings;
    const kind = { finished, byWire: wire !== undefined, several: streams > 1, maxDowntimeMs };
    moves.push({ ...kind, downtimeMs, off: offOf(report) });
  }
  return moves;
}

/** What a few moves say of the downtime is believed up to here: one long downtime is no rule. */
const MOST_LEARNED = 8;

/**
 * What to multiply by what the model says of the downtime: towards the median of the latest moves of the same kind, as far
 * as these outweigh what is assumed. 1 where there is none.
 */
export function learnedFactor(saidMs: number, kind: Kind, moves: readonly OwnMove[]): number {
  const same = moves.filter(
    (move) =>
      move.finished === kind.finished &&
      move.byWire === kind.byWire &&
      move.several === kind.several &&
      move.maxDowntimeMs === kind.maxDowntimeMs,
  );
  const latest = same.slice(0, MOST_LOOKED_AT).map(({ downtimeMs }) => downtimeMs);
  if (latest.length === 0 || saidMs <= 0) return 1;
  const ratio = medianOf(latest) / saidMs;
  const factor = ratio ** weightOf(latest.length);
  return Math.min(MOST_LEARNED, Math.max(1 / MOST_LEARNED, factor));
}

/** Between the two in the middle, by their ratio. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const half = (sorted.length - 1) / 2;
  return Math.sqrt((sorted[Math.floor(half)] ?? 0) * (sorted[Math.ceil(half)] ?? 0));
}
