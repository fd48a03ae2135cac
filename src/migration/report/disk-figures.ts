import type { DiskLink } from '../../protocol/disk.ts';

/** Adds up figures after the disks' path was reopened. Pure. */
export function addDiskLink(before: DiskLink | undefined, next: DiskLink): DiskLink {
  if (before === undefined) return next;
  return {
    sentBytes: before.sentBytes + next.sentBytes,
    receivedBytes: before.receivedBytes + next.receivedBytes,
    linkBytes: before.linkBytes + next.linkBytes,
    cuts: before.cuts + next.cuts,
    longestCutMs: Math.max(before.longestCutMs, next.longestCutMs),
    sessions: before.sessions + next.sessions,
  };
}
