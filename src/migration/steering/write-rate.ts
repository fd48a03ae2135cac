import type { MemorySample, MigrationSettings } from '../../protocol/public/migration.ts';
import type { CurvePoint } from '../../protocol/public/prediction.ts';
import { dirtiedWithin, rateWithin } from '../prediction/curve.ts';
import type { SteeringTrace } from './trace.ts';

/**
 * Whether a guest outpaces the link, by a look at its pages while the first round ran. A hypervisor counts a page once in
 * each round. So after a long first round a guest that writes the same memory over and over looks slow to it, and only the
 * end of the second round shows what it does. Pure.
 */

/** What a look at a sample of a guest's pages saw written within each window, the shortest first. */
export interface Writes {
  /** Pages of the sample. */
  readonly pages: number;
  readonly memoryBytes: number;
  /** Of its pages, those that hold zeros; absent: nobody knows. */
  readonly zeroShare?: number | undefined;
  readonly curve: readonly CurvePoint[];
  /** What was seen written in a window that is a good part of the first round; absent: nobody has looked for so long. */
  readonly long?: CurvePoint;
  /**
   * The most that was sent within a second of the first round, bytes/s. What the hypervisor says at one moment may fall
   * into a short standstill of the link, or among pages of zeros.
   */
  readonly linkRate: number;
}

/** What is known as the second round begins. */
export interface AfterFirstRound {
  readonly sample: Pick<MemorySample, 'round' | 'rate'>;
  readonly trace: Pick<SteeringTrace, 'round' | 'remainingBytes' | 'atMs'> | undefined;
  readonly settings: Pick<MigrationSettings, 'maxDowntimeMs'>;
  readonly writes?: Writes | undefined;
}

/** A first round that takes less is over before a look is, and shows soon enough by itself what the guest writes, ms. */
export const LOOK_MS = 4000;
/** In a shorter window too few pages of the sample change to say it, ms. */
const MIN_WINDOW_MS = 500;
/**
 * If the second round leaves less than this share of what the first one left, it is worth its time: of each second in which
 * the rest follows by post-copy, a busy guest loses three quarters (bench/results/convergence.md).
 */
const SHRINKS = 0.5;
/** A sample of pages is believed as far as all but one in forty of such samples would say the same. */
const STANDARD_ERRORS = 2;

/**
 * bytes/s that the guest writes, if that is as much as the link carries or more, and no further round helps; else undefined.
 *
 * As long as a guest goes on as it was seen, it writes no more per second in a longer window than in a shorter one. So if
 * it outpaces the link in a window that is longer than the longest downtime, it does so in each shorter round, and what
 * remains does not fit into that downtime.
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
  // What it wrote in the look and no longer in the round is not held against it.
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

/** Of what a sample says was written: so much of it at least was, by the number of pages that it saw changed. */
function sureShare({ dirtyBytes }: CurvePoint, { pages, memoryBytes }: Writes): number {
  const changed = (dirtyBytes / memoryBytes) * pages;
  return changed === 0 ? 0 : Math.max(0, 1 - STANDARD_ERRORS / Math.sqrt(changed));
}

type TransferSample = Pick<MemorySample, 'totalMs' | 'transferredBytes'>;

const PEAK_MS = 1000;

/** The most that was sent within a second, of looks at a stream, bytes/s. */
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
