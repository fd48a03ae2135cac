import type { MoveCost, PlannerGuest, PlannerHost } from './inventory.ts';

/** For links of which nothing is known: half of 1 Gbit/s. */
export const LINK_BYTES_PER_SECOND = 62_500_000;
/** The part of the link beyond which a guest's writing makes rounds of copying useless. */
export const MAX_DIRTY = 0.8;
/** What is left for the time in which the guest is paused, s of the link. */
const LAST_ROUND_S = 0.02;

/**
 * What moving a guest takes: its memory, and again what it writes meanwhile (a geometric series, until the rest goes
 * within the last round), over the slower of both hosts' links.
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
