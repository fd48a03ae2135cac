import { z } from 'zod';
import { defined } from '../../protocol/defined.ts';
import { cameTo, clientGapMs, workedMs } from '../report/outcome-figures.ts';
import { DISK_PREDICTED, PREDICTED, type DiskScore } from '../../protocol/controller/history.ts';
import type { Report } from '../../protocol/public/migration.ts';
import type { Range } from '../../protocol/public/prediction.ts';
import { knownOf } from '../prediction/disk-latency.ts';

/** Figures of a report for statistics over many reports. Pure. */

const PAGE_BYTES = 4096;

const amount = z.number().nonnegative();
const pair = z.tuple([amount, amount, amount, amount]);
export type Pair = z.infer<typeof pair>;

export const figures = z.object({
  /** Predicted and actual figures: low, middle, high, actual. */
  predicted: z.partialRecord(z.enum(PREDICTED), pair),
  /** Same for copied disks; absent if none was copied, and in rows of earlier builds. */
  disks: z.partialRecord(z.enum(DISK_PREDICTED), z.array(pair).max(64)).optional(),
  /** Share of outcomes that the ranges are meant to cover. */
  level: z.number().min(0).max(1).optional(),
  /** Bytes of guest memory that were not sent in full, by what replaced them. */
  saved: z.record(z.string().max(32), amount),
});
export type Figures = z.infer<typeof figures>;

/** Times in ms and link bytes of one migration; absent if unknown. */
export interface Amounts {
  /** Excludes the wait for the requested time. */
  readonly totalMs: number;
  readonly downtimeMs: number | undefined;
  readonly clientGapMs: number | undefined;
  readonly bytes: number | undefined;
}

export function amountsOf(report: Report): Amounts {
  const { downtimeMs, bytes, wire } = report;
  return {
    totalMs: workedMs(report),
    downtimeMs,
    clientGapMs: clientGapMs(report),
    bytes: wire?.linkBytes ?? bytes,
  };
}

export function figuresOf(report: Report): Figures {
  // A cap for the time of day may have changed after the prediction.
  const prediction = report.timedCap === undefined ? report.prediction : undefined;
  const came = cameTo(report);
  const pairs = PREDICTED.flatMap((name) => {
    const [range, outcome] = [prediction?.[name], came[name]];
    if (range === undefined || outcome === undefined) return [];
    return [[name, pairOf(range, outcome)] as const];
  });
  const disks = diskPairsOf(report);
  const has = pairs.length > 0 || disks !== undefined;
  return {
    predicted: Object.fromEntries(pairs),
    ...defined({ disks }),
    ...(has && prediction !== undefined ? { level: prediction.level } : {}),
    saved: savedBy(report),
  };
}

const pairOf = ({ low, middle, high }: Range, came: number): Pair => [low, middle, high, came];

const REQUESTS = [
  ['readsP50Ms', 'reads', 'p50Ms'],
  ['readsP99Ms', 'reads', 'p99Ms'],
  ['writesP50Ms', 'writes', 'p50Ms'],
  ['writesP99Ms', 'writes', 'p99Ms'],
  ['flushesP50Ms', 'flushes', 'p50Ms'],
  ['flushesP99Ms', 'flushes', 'p99Ms'],
] as const;

/** Latency of each disk, if enough requests were counted during its copy. */
function diskPairsOf(report: Report): Figures['disks'] {
  const { prediction, outcome, timedCap, diskLatency: counted = [] } = report;
  if (prediction === undefined || outcome !== 'done' || timedCap !== undefined) return undefined;
  const { disks, diskLatency = [] } = prediction;
  const came = cameTo(report);
  const found: Partial<Record<DiskScore['of'], Pair[]>> = {};
  const add = (name: DiskScore['of'], range?: Range, amount?: number): void => {
    if (range !== undefined && amount !== undefined)
      (found[name] ??= []).push(pairOf(range, amount));
  };
  add('diskBytes', disks?.bytes, came.diskBytes);
  add('diskMs', disks?.ms, came.diskMs);
  for (const expected of diskLatency) {
    const { during } = counted.find(({ node }) => node === expected.node) ?? {};
    for (const [name, kind, at] of REQUESTS)
      add(name, expected[kind][at], knownOf(during, kind, at));
  }
  return Object.keys(found).length === 0 ? undefined : found;
}

const NOTES: Readonly<Record<string, string>> = {
  zero: 'zero pages',
  same: 'unchanged pages',
  base: 'pages of an earlier stay',
  repeat: 'repeated pages',
  cached: 'pages of the cache',
};

/** Bytes that the wire saved of the hypervisor's stream; savings without a note are compression or deltas. */
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
