import { amountsOf, figuresOf } from '../../migration/insight/figures.ts';
import { wasCapped } from '../../migration/prediction/link-share.ts';
import type { Report } from '../../protocol/public/migration.ts';

export interface Columns {
  /** Without the wait for its start. */
  readonly total_ms: number;
  readonly downtime_ms: number | null;
  readonly client_gap_ms: number | null;
  readonly bytes: number | null;
  /** bytes/s of the link, if the rate was not limited. */
  readonly link_rate: number | null;
  /** bytes/s of dirtied memory: the median of the rounds that have it. */
  readonly dirty_rate: number | null;
  readonly figures: string;
}

export function columnsOf(report: Report): Columns {
  const { throughput, roundList, wire } = report;
  const { totalMs, downtimeMs, clientGapMs, bytes } = amountsOf(report);
  const isFree = !wasCapped(report) && report.outcome === 'done';
  return {
    total_ms: totalMs,
    downtime_ms: downtimeMs ?? null,
    client_gap_ms: clientGapMs ?? null,
    bytes: bytes ?? null,
    link_rate: isFree && wire === undefined && (throughput ?? 0) > 0 ? (throughput ?? null) : null,
    dirty_rate: median(roundList.flatMap(({ dirtyRate }) => (dirtyRate > 0 ? [dirtyRate] : []))),
    figures: JSON.stringify(figuresOf(report)),
  };
}

function median(amounts: readonly number[]): number | null {
  const sorted = amounts.toSorted((left, right) => left - right);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}
