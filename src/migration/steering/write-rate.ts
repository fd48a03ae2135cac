import type { MemorySample, MigrationSettings } from '../../protocol/public/migration.ts';
import type { CurvePoint } from '../../protocol/public/prediction.ts';
import { dirtiedWithin, rateWithin } from '../prediction/curve.ts';
import type { SteeringTrace } from './trace.ts';

/**
 * Whether a guest outpaces the link, by a look at its pages while the first round ran. A hypervisor counts a page once in
 * each round. So after a long first round a guest that writes the same memory over and over looks slow to it, and only the
 * end of the second round shows what it does. Pure.
 */

/** What is known as the second round begins. */
export interface AfterFirstRound {
  readonly sample: Pick<MemorySample, 'round' | 'rate'>;
  readonly trace: Pick<SteeringTrace, 'round' | 'remainingBytes' | 'atMs'> | undefined;
  readonly settings: Pick<MigrationSettings, 'maxDowntimeMs'>;
  /** What was written within each window of the look. */
  readonly writes?: readonly CurvePoint[] | undefined;
}

/** In a shorter window too few pages of the sample change to say it, ms. */
const LEAST_WINDOW_MS = 500;
/**
 * If the second round leaves less than this share of what the first one left, it is worth its time: what is sent after the
 * switch to post-copy slows the guest down about as much again (docs/measurements/convergence.md).
 */
const SHRINKS = 0.5;

/**
 * bytes/s that the guest writes, if that is as much as the link carries or more, and no further round helps; else undefined.
 *
 * A guest writes no more per second in a longer window than in a shorter one. So if it outpaces the link in a window that
 * is longer than the longest downtime, it does so in each shorter round, and what remains never fits into that downtime.
 */
export function outpacingRate({
  sample,
  trace,
  settings,
  writes = [],
}: AfterFirstRound): number | undefined {
  if (sample.round !== 2 || trace?.round !== 2 || sample.rate === 0) return undefined;
  const { remainingBytes, atMs: tookMs = 0 } = trace;
  // What it wrote in the look and no longer in the round is not held against it.
  const known = writes
    .filter(({ windowMs }) => windowMs < tookMs)
    .map(({ windowMs, dirtyBytes }) => {
      return { windowMs, dirtyBytes: Math.min(dirtyBytes, remainingBytes) };
    });
  const least = Math.max(settings.maxDowntimeMs, LEAST_WINDOW_MS);
  const window = known.find(({ windowMs }) => windowMs >= least);
  if (window === undefined) return undefined;
  const writeRate = rateWithin(window);
  if (writeRate < sample.rate) return undefined;
  const all = [...known, { windowMs: tookMs, dirtyBytes: remainingBytes }];
  const nextBytes = dirtiedWithin(all, (remainingBytes * 1000) / sample.rate, remainingBytes);
  return nextBytes < remainingBytes * SHRINKS ? undefined : writeRate;
}
