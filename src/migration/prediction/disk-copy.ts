import type { Disk } from '../../protocol/disk.ts';
import type { Facts } from './facts.ts';
import { plainMsPerByte } from './load.ts';
import type { Scenario } from './scenarios.ts';

/** What it takes to copy a guest's disks before its memory moves. Pure. */

export interface DiskCopy {
  /** From the start of the copies until each is as good as its disk. */
  readonly ms: number;
  /** That go over the link meanwhile. */
  readonly bytes: number;
  /** What the guest writes from then on, which goes over the link as well, bytes/ms. */
  readonly writtenPerMs: number;
}

export const NO_COPY: DiskCopy = { ms: 0, bytes: 0, writtenPerMs: 0 };

/**
 * Of what the guest writes meanwhile, so much goes to places that were copied already, and is copied again: a copy goes from
 * front to back, and the writes are taken to lie anywhere. Assumed.
 */
const AGAIN_SHARE = 0.5;
/** Writes that come faster than the copies wait for these, and take no more of the way than this. Assumed. */
const MAX_WAY_SHARE = 0.5;

/** No copy is said to take longer: ten years. */
const MAX_MS = 10 * 365 * 86_400_000;

/** What images of these nodes take at the source, or what the guest sees of them where that is not known; undefined where one is not described. */
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

/** All of it goes once, as it is, over the link or through the processors, whichever is slower; and what is copied again. */
export function diskCopyOf(facts: Facts, scenario: Scenario): DiskCopy {
  const { disks } = facts;
  if (disks === undefined) return NO_COPY;
  const perMs = 1 / plainMsPerByte(facts, scenario);
  const writtenPerMs = ((disks.writtenBytesPerS ?? 0) / 1000) * scenario.dirty;
  const againPerMs = Math.min(writtenPerMs * AGAIN_SHARE, perMs * MAX_WAY_SHARE);
  const ms = Math.min(MAX_MS, disks.bytes / (perMs - againPerMs));
  return { ms, bytes: disks.bytes + againPerMs * ms, writtenPerMs: Math.min(writtenPerMs, perMs) };
}
