import type { Disk } from '../../protocol/disk.ts';
import type { Facts } from './facts.ts';
import { plainMsPerByte } from './load.ts';
import type { Scenario } from './scenarios.ts';

/** Predicts the copy of a guest's disks before its memory moves. Pure. */

export interface DiskCopy {
  /** Time until each copy is in sync. */
  readonly ms: number;
  readonly bytes: number;
  /** Guest writes afterwards, which use the link too, bytes/ms. */
  readonly writtenPerMs: number;
}

export const NO_COPY: DiskCopy = { ms: 0, bytes: 0, writtenPerMs: 0 };

/**
 * Share of guest writes that fall on copied places and are copied again. A copy goes from front to back, and writes
 * are assumed to be uniform. Assumed.
 */
const AGAIN_SHARE = 0.5;
/** Faster writes wait for the copies and use no more of the link. Assumed. */
const MAX_WAY_SHARE = 0.5;

/** Upper bound of a prediction: ten years. */
const MAX_MS = 10 * 365 * 86_400_000;

/** Allocated sizes at the source, or virtual sizes if unknown; undefined if a node is not described. */
export function bytesToCopy(disks: readonly Disk[], nodes: readonly string[]): number | undefined {
  const images = new Map(disks.flatMap(({ images: all }) => all.map((each) => [each.node, each])));
  let sum = 0;
  for (const node of nodes) {
    const image = images.get(node);
    if (image === undefined) return undefined;
    sum += image.allocatedBytes ?? image.bytes;
  }
  return sum;
}

/** Each byte is sent once uncompressed, limited by the link or the processors, plus what is copied again. */
export function diskCopyOf(facts: Facts, scenario: Scenario): DiskCopy {
  const { disks } = facts;
  if (disks === undefined) return NO_COPY;
  const perMs = 1 / plainMsPerByte(facts, scenario);
  const writtenPerMs = ((disks.writtenBytesPerS ?? 0) / 1000) * scenario.dirty;
  const againPerMs = Math.min(writtenPerMs * AGAIN_SHARE, perMs * MAX_WAY_SHARE);
  const ms = Math.min(MAX_MS, disks.bytes / (perMs - againPerMs));
  return { ms, bytes: disks.bytes + againPerMs * ms, writtenPerMs: Math.min(writtenPerMs, perMs) };
}
