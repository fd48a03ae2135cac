import { z } from 'zod';
import { cameTo, clientGapMs, workedMs } from '../../migration/report/outcome-figures.ts';
import { PREDICTED } from '../../protocol/controller/history.ts';
import type { Report } from '../../protocol/public/migration.ts';

/** A page of guest memory, as the wire counts them. */
const PAGE_BYTES = 4096;

const amount = z.number().nonnegative();

/** What is read of many migrations at once, beside the columns: all of it is small. */
export const figures = z.object({
  /** Figures that were predicted and that it came to: low, middle and high of the range, and what it came to. */
  predicted: z.partialRecord(z.enum(PREDICTED), z.tuple([amount, amount, amount, amount])),
  /** The share of outcomes that the ranges were made to hold. */
  level: z.number().min(0).max(1).optional(),
  /** Bytes of guest memory that did not travel as they were, by how they went instead. */
  saved: z.record(z.string().max(32), amount),
});
export type Figures = z.infer<typeof figures>;

export function figuresOf(report: Report): Figures {
  const { prediction } = report;
  const came = cameTo(report);
  const pairs = PREDICTED.flatMap((name) => {
    const [range, outcome] = [prediction?.[name], came[name]];
    if (range === undefined || outcome === undefined) return [];
    return [[name, [range.low, range.middle, range.high, outcome]] as const];
  });
  return {
    predicted: Object.fromEntries(pairs),
    ...(pairs.length === 0 || prediction === undefined ? {} : { level: prediction.level }),
    saved: savedBy(report),
  };
}

/** Pages that went as a note alone; each of them would have been a page on the wire. */
const NOTES: Readonly<Record<string, string>> = {
  zero: 'zero pages',
  same: 'unchanged pages',
  base: 'pages of an earlier stay',
  repeat: 'repeated pages',
  cached: 'pages of the cache',
};

/** What the wire spared, in bytes of the hypervisor's stream; what no kind of note explains was compressed or sent as deltas. */
function savedBy({ wire }: Report): Record<string, number> {
  if (wire === undefined) return {};
  const all = Math.max(0, wire.streamBytes - wire.linkBytes);
  const notes = Object.entries(NOTES).flatMap(([kind, words]) => {
    const pages = wire.told[kind] ?? 0;
    return pages === 0 ? [] : [[words, pages * PAGE_BYTES] as const];
  });
  const noted = notes.reduce((sum, [, bytes]) => sum + bytes, 0);
  const rest = all - noted;
  return Object.fromEntries(rest > 0 ? [...notes, ['compressed and deltas', rest]] : notes);
}

/** What the columns of a migration's row have of its report. */
export interface Columns {
  /** Without the time for which it waited for its moment. */
  readonly total_ms: number;
  readonly downtime_ms: number | null;
  readonly client_gap_ms: number | null;
  readonly bytes: number | null;
  /** bytes/s of the link, where nobody asked for less. */
  readonly link_rate: number | null;
  /** bytes/s of memory that the guest made dirty: the median of its rounds that know it. */
  readonly dirty_rate: number | null;
  readonly figures: string;
}

export function columnsOf(report: Report): Columns {
  const { downtimeMs, bytes, throughput, settings, roundList, wire } = report;
  const isFree = settings.maxBandwidth === undefined && report.outcome === 'done';
  return {
    total_ms: workedMs(report),
    downtime_ms: downtimeMs ?? null,
    client_gap_ms: clientGapMs(report) ?? null,
    bytes: wire?.linkBytes ?? bytes ?? null,
    link_rate: isFree && wire === undefined && (throughput ?? 0) > 0 ? (throughput ?? null) : null,
    dirty_rate: median(roundList.flatMap(({ dirtyRate }) => (dirtyRate > 0 ? [dirtyRate] : []))),
    figures: JSON.stringify(figuresOf(report)),
  };
}

function median(amounts: readonly number[]): number | null {
  const sorted = amounts.toSorted((left, right) => left - right);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}
