import type { MoveCost, PlannerGuest, PlannerHost } from './inventory.ts';

export const LINK_BYTES_PER_SECOND = 62_500_000;
/** Dirty rate, as a part of the link's rate, above which rounds are useless. */
export const MAX_DIRTY = 0.8;
/** Remaining memory for the pause, in s of the link. */
const LAST_ROUND_S = 0.02;

/**
 * Bytes of a move over the slower link: memory plus repeated writes (a geometric series until the rest fits the last
 * round).
 */
export function costOf(
  { memoryBytes, dirtyBytesPerSecond = 0 }: PlannerGuest,
  from: PlannerHost,
  to: PlannerHost,
): MoveCost {
  const link = Math.min(
    from.linkBytesPerSecond ?? LINK_BYTES_PER_SECOND,
    to.linkBytesPerSecond ?? LINK_BYTES_PER_SECOND,
  );
  const again = Math.min(dirtyBytesPerSecond / link, MAX_DIRTY);
  const bytes = memoryBytes / (1 - again);
  const rest = Math.max(
    link * LAST_ROUND_S,
    dirtyBytesPerSecond > link * MAX_DIRTY ? memoryBytes * again : 0,
  );
  return { bytes, seconds: bytes / link, downtimeMs: (1000 * rest) / link };
}
