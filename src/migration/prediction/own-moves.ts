import type { Report } from '../../protocol/public/migration.ts';
import type { PredictionOff, ToldCosts } from '../../protocol/public/prediction.ts';
import { toldBy } from './own-costs.ts';
import { offOf } from './own-errors.ts';
import type { Kind } from './own-times.ts';

/** Knowledge from this host's moves for the next one. Pure. */

export interface OwnMove extends Kind {
  readonly downtimeMs: number;
  readonly off?: PredictionOff | undefined;
  readonly costs?: ToldCosts | undefined;
}

/** Latest migrations to that host (newest first) with a paused guest. */
export function movesTo(to: string, reports: Iterable<Report>): OwnMove[] {
  const moves: OwnMove[] = [];
  for (const report of reports) {
    const { outcome, finished, settings, stream, wire, downtimeMs = 0, to: went } = report;
    if (outcome !== 'done' || went !== to || downtimeMs <= 0) continue;
    if (finished !== 'precopy' && finished !== 'postcopy') continue;
    const { streams } = stream ?? settings;
    const { maxDowntimeMs } = settings;
    const kind = { finished, byWire: wire !== undefined, several: streams > 1, maxDowntimeMs };
    // A prediction assumes one cap, which the time of day may have changed.
    const isComparable = report.timedCap === undefined;
    const costs = isComparable ? toldBy(report) : undefined;
    const off = isComparable ? offOf(report) : undefined;
    moves.push({ ...kind, downtimeMs, off, ...(costs && { costs }) });
  }
  return moves;
}
