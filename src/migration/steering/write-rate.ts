import type { MemorySample, MigrationSettings } from '../../protocol/public/migration.ts';
import type { CurvePoint } from '../../protocol/public/prediction.ts';
import { dirtiedWithin, rateWithin } from '../prediction/curve.ts';
import type { SteeringTrace } from './trace.ts';

/**
 * Decides from a sample of pages in the first round whether a guest outpaces the link. A hypervisor counts a page
 * once per round, so after a long first round, a guest that rewrites the same memory looks slow until the end of the
 * second round. Pure.
 */

export interface Writes {
  readonly pages: number;
  readonly memoryBytes: number;
  /** Share of zero pages among them; absent: unknown. */
  readonly zeroShare?: number | undefined;
  readonly curve: readonly CurvePoint[];
  /** Writes in a window that is a good part of the first round; absent: not sampled that long. */
  readonly long?: CurvePoint;
  /**
   * Maximum rate within a second of the first round, bytes/s. A momentary rate may fall into a short stall or a run
   * of zero pages.
   */
  readonly linkRate: number;
}

export interface AfterFirstRound {
  readonly sample: Pick<MemorySample, 'round' | 'rate'>;
  readonly trace: Pick<SteeringTrace, 'round' | 'remainingBytes' | 'atMs'> | undefined;
  readonly settings: Pick<MigrationSettings, 'maxDowntimeMs'>;
  readonly writes?: Writes | undefined;
}

/** A shorter first round ends before a sample, and soon shows the guest's writes by itself, ms. */
export const LOOK_MS = 4000;
/** In a shorter window too few sampled pages change, ms. */
const MIN_WINDOW_MS = 500;
/**
 * A second round is worth its time if it leaves less than this share of the first one's remainder. A busy guest loses
 * three quarters of each second in post-copy (bench/results/convergence.md).
 */
const SHRINKS = 0.5;
/** Confidence in a sample: 39 of 40 such samples would agree. */
const STANDARD_ERRORS = 2;

/**
 * Write rate of the guest, bytes/s, if it reaches the link's rate and further rounds do not help; else undefined.
 *
 * A steady guest writes no more per second in a longer window than in a shorter one. A guest that outpaces the link
 * in a window longer than the maximum downtime does so in each shorter round, and the remainder does not fit into
 * that downtime.
 */
export function outpacingRate({
  sample,
  trace,
  settings,
  writes,
}: AfterFirstRound): number | undefined {
  if (sample.round !== 2 || trace?.round !== 2 || sample.rate === 0) return undefined;
  if (writes === undefined) return undefined;
  const { remainingBytes, atMs: tookMs = 0 } = trace;
  if (tookMs < LOOK_MS) return undefined;
  const rate = Math.max(sample.rate, writes.linkRate);
  // Writes of the sample that the guest no longer makes in the round do not count.
  const known = writes.curve
    .filter(({ windowMs }) => windowMs < tookMs)
    .map(({ windowMs, dirtyBytes }) => {
      return { windowMs, dirtyBytes: Math.min(dirtyBytes, remainingBytes) };
    });
  const least = Math.max(settings.maxDowntimeMs, MIN_WINDOW_MS);
  const window = known.find((point) => {
    return point.windowMs >= least && rateWithin(point) * sureShare(point, writes) >= rate;
  });
  if (window === undefined) return undefined;
  const all = [...known, { windowMs: tookMs, dirtyBytes: remainingBytes }];
  const nextBytes = dirtiedWithin(all, (remainingBytes * 1000) / rate, remainingBytes);
  return nextBytes < remainingBytes * SHRINKS ? undefined : rateWithin(window);
}

/** Lower bound of the written share, by the number of changed pages in the sample. */
function sureShare({ dirtyBytes }: CurvePoint, { pages, memoryBytes }: Writes): number {
  const changed = (dirtyBytes / memoryBytes) * pages;
  return changed === 0 ? 0 : Math.max(0, 1 - STANDARD_ERRORS / Math.sqrt(changed));
}

type TransferSample = Pick<MemorySample, 'totalMs' | 'transferredBytes'>;

const PEAK_MS = 1000;

/** Maximum rate within a second, from looks at a stream, bytes/s. */
export class LinkPeak {
  #bytesPerS: number | undefined;
  #from: TransferSample | undefined;

  /** Undefined before a second is over. */
  get bytesPerS(): number | undefined {
    return this.#bytesPerS;
  }

  saw({ totalMs, transferredBytes }: TransferSample): void {
    this.#from ??= { totalMs, transferredBytes };
    const ms = totalMs - this.#from.totalMs;
    if (ms < PEAK_MS) return;
    const rate = Math.round(((transferredBytes - this.#from.transferredBytes) * 1000) / ms);
    this.#bytesPerS = Math.max(this.#bytesPerS ?? 0, rate);
    this.#from = { totalMs, transferredBytes };
  }
}
