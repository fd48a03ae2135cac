import type { Report } from '../../protocol/public/migration.ts';
import type { PredictionOff, ToldCosts } from '../../protocol/public/prediction.ts';
import { toldBy } from './own-costs.ts';
import { offOf } from './own-errors.ts';
import type { Kind } from './own-times.ts';

/** What this host's own moves say of the next one. Pure. */

/** A migration of this host to another, and for how long its guest was paused. */
export interface OwnMove extends Kind {
  readonly downtimeMs: number;
  /** How far it came out from what had been said of it; absent where nothing was. */
  readonly off?: PredictionOff | undefined;
  /** What it told of its data path's costs; absent where it told nothing. */
  readonly costs?: ToldCosts | undefined;
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
    // A prediction goes by one cap, and the time of day may have changed that on the way.
    const isComparable = report.timedCap === undefined;
    const costs = isComparable ? toldBy(report) : undefined;
    const off = isComparable ? offOf(report) : undefined;
    moves.push({ ...kind, downtimeMs, off, ...(costs && { costs }) });
  }
  return moves;
}
