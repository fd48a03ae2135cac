import { median, type Measure } from './contract.ts';
import type { QmpEvent } from '../lab/witness/monitor.ts';
import type { Report } from '../src/protocol/public/migration.ts';

/** What a move of a guest with its disks came to, from what QEMUs, links and the guest say. Pure. */

/** One move, by whichever side. */
export interface DiskMove {
  /** From the first mirror job at the source until the guest runs at the destination, by the QEMUs' own times. */
  readonly totalMs: number;
  readonly clientGapMs: number;
  /** What the source's migration link sent meanwhile, and what of that was memory by QEMU's own count. */
  readonly linkBytes: number;
  readonly memoryBytes: number;
  /** What the disk's image took when the move began, and what the guest wrote to it while it was copied. */
  readonly allocatedBytes: number;
  readonly rewrittenBytes: number;
  /** The whole command, where there is one. */
  readonly wallMs?: number;
  /** How long the guest's own writes took before the copy and during it, and what was predicted, ms; as far as it was seen. */
  readonly writes?: Readonly<Record<Moment, Percentiles>>;
}

const MOMENTS = ['before', 'during', 'predicted'] as const;
type Moment = (typeof MOMENTS)[number];
interface Percentiles {
  readonly p50Ms?: number | undefined;
  readonly p99Ms?: number | undefined;
}

/** A guest that was quiet, with a thin image. */
export interface ThinMove {
  readonly totalMs: number;
  readonly linkBytes: number;
  readonly memoryBytes: number;
  /** What the image took before at the source, and what it takes after at the destination. */
  readonly allocatedBefore: number;
  readonly allocatedAfter: number;
}

export interface CopyTimes {
  /** The first mirror job was made. */
  readonly begunAtMs: number;
  readonly stoppedAtMs: number;
}

/** From the events of the source's QEMU during one move. Throws where nothing was copied, or the guest never stopped. */
export function copyTimes(events: readonly QmpEvent[]): CopyTimes {
  const begun = events.find(
    ({ event, data }) => event === 'JOB_STATUS_CHANGE' && data['status'] === 'created',
  );
  const stopped = events.findLast(({ event }) => event === 'STOP');
  if (begun === undefined) throw new Error('the source’s QEMU never said that it copies a disk');
  if (stopped === undefined) throw new Error('the source’s QEMU never said that the guest stands');
  return { begunAtMs: begun.atMs, stoppedAtMs: stopped.atMs };
}

/** What a guest has written at a moment of its own clock. */
export interface WriteCounter {
  readonly diskBytes: number;
  readonly uptimeMs: number;
}

/** So much it writes in `ms` at the rate that it kept between two looks. */
export function writtenIn(ms: number, before: WriteCounter, after: WriteCounter): number {
  const pastMs = after.uptimeMs - before.uptimeMs;
  return pastMs <= 0 ? 0 : ((after.diskBytes - before.diskBytes) * ms) / pastMs;
}

/** Bytes on the link for the disk, of what there was to send. */
export function shareOfNeeded(moved: DiskMove): number {
  const { linkBytes, memoryBytes, allocatedBytes, rewrittenBytes } = moved;
  return (linkBytes - memoryBytes) / (allocatedBytes + rewrittenBytes);
}

const MIB = 1024 ** 2;

/** Both sides' medians. */
export function pairMeasures(
  name: string,
  godwit: readonly DiskMove[],
  hand: readonly DiskMove[],
): Measure[] {
  const runs = godwit.length;
  const of = (side: readonly DiskMove[], value: (each: DiskMove) => number): number =>
    median(side.map(value));
  const reported = (what: string, value: number, unit: string): Measure => {
    return { name: `${name}: ${what}`, value, unit, runs };
  };
  const total = ({ totalMs }: DiskMove): number => totalMs;
  const gap = ({ clientGapMs }: DiskMove): number => clientGapMs;
  return [
    {
      ...reported('total time, Godwit / by hand', of(godwit, total) / of(hand, total), 'x'),
      target: { atMost: 1.1 },
    },
    {
      ...reported('on the link, of allocated and rewritten', of(godwit, shareOfNeeded), 'x'),
      target: { atMost: 1.05 },
    },
    reported('the same by hand', of(hand, shareOfNeeded), 'x'),
    reported('total time, Godwit', of(godwit, total), 'ms'),
    reported('total time, by hand', of(hand, total), 'ms'),
    reported('client gap, Godwit', of(godwit, gap), 'ms'),
    reported('client gap, by hand', of(hand, gap), 'ms'),
    reported(
      'rewritten meanwhile',
      of(godwit, ({ rewrittenBytes }) => rewrittenBytes) / MIB,
      'MiB',
    ),
    reported(
      'whole `godwit migrate`',
      of(godwit, ({ wallMs = 0 }) => wallMs),
      'ms',
    ),
  ];
}

/** Of a report whose guest had one disk copied; what is predicted there is the middle. */
export function writesOf({
  diskLatency,
  prediction,
}: Pick<Report, 'diskLatency' | 'prediction'>): NonNullable<DiskMove['writes']> {
  const [seen] = diskLatency ?? [];
  const { p50Ms, p99Ms } = prediction?.diskLatency?.[0]?.writes ?? {};
  return {
    before: seen?.before?.writes ?? {},
    during: seen?.during?.writes ?? {},
    predicted: { p50Ms: p50Ms?.middle, p99Ms: p99Ms?.middle },
  };
}

/** Medians of the moves that say it. */
export function writesMeasures(name: string, moved: readonly DiskMove[]): Measure[] {
  return MOMENTS.flatMap((moment) =>
    (['p50Ms', 'p99Ms'] as const).flatMap((percentile): Measure[] => {
      const found = moved.flatMap(({ writes }) => writes?.[moment][percentile] ?? []);
      if (found.length === 0) return [];
      const what = `the guest's writes, ${percentile.slice(0, 3)} ${moment}`;
      return [{ name: `${name}: ${what}`, value: median(found), unit: 'ms', runs: found.length }];
    }),
  );
}

/** Of a 20 GiB image with 300 MiB in it. */
export function thinMeasures(name: string, moved: readonly ThinMove[]): Measure[] {
  const of = (value: (each: ThinMove) => number): number => median(moved.map(value));
  const reported = (what: string, value: number, unit: string): Measure => {
    return { name: `${name}: ${what}`, value, unit, runs: moved.length };
  };
  const link = of(({ linkBytes, memoryBytes }) => linkBytes - memoryBytes) / MIB;
  const after = of(({ allocatedAfter }) => allocatedAfter) / MIB;
  return [
    { ...reported('on the link', link, 'MiB'), target: { atMost: 330 } },
    { ...reported('allocated at the end', after, 'MiB'), target: { atMost: 310 } },
    reported('allocated before', of(({ allocatedBefore }) => allocatedBefore) / MIB, 'MiB'),
    reported(
      'total time',
      of(({ totalMs }) => totalMs),
      'ms',
    ),
  ];
}
