import { z } from 'zod';
import { defined } from '../../protocol/defined.ts';
import { cameTo, clientGapMs, workedMs } from '../report/outcome-figures.ts';
import { DISK_PREDICTED, PREDICTED, type DiskScore } from '../../protocol/controller/history.ts';
import type { Report } from '../../protocol/public/migration.ts';
import type { Range } from '../../protocol/public/prediction.ts';
import { knownOf } from '../prediction/disk-latency.ts';

/** What is read of a report for statistics over many of them. Pure. */

/** A page of guest memory, as the wire counts them. */
const PAGE_BYTES = 4096;

const amount = z.number().nonnegative();
/** A range that was predicted, and what it came to. */
const pair = z.tuple([amount, amount, amount, amount]);
export type Pair = z.infer<typeof pair>;

/** What is read of many migrations at once, beside the columns: all of it is small. */
export const figures = z.object({
  /** Figures that were predicted and that it came to: low, middle and high of the range, and what it came to. */
  predicted: z.partialRecord(z.enum(PREDICTED), pair),
  /** The same of disks that were copied; absent where none was, and in rows of earlier builds. */
  disks: z.partialRecord(z.enum(DISK_PREDICTED), z.array(pair).max(64)).optional(),
  /** The share of outcomes that the ranges were made to hold. */
  level: z.number().min(0).max(1).optional(),
  /** Bytes of guest memory that did not travel as they were, by how they went instead. */
  saved: z.record(z.string().max(32), amount),
});
export type Figures = z.infer<typeof figures>;

/** Of one migration: ms, and bytes over the link; absent where nobody saw it. */
export interface Amounts {
  /** Without the time for which it waited for its moment. */
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
  // The time of day may have changed the cap that a prediction went by.
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

/** Of the guest's requests to each disk, where enough were counted during its copy. */
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
