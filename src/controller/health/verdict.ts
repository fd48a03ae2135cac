import type { HostHealth } from '../../protocol/public/hosts/health.ts';

/** What one look at a host says. `unclear`: warnings alone, or nobody knows; it is no ground for a change either way. */
export type HealthSnapshot = 'well' | 'failing' | 'unclear';

/** How long one thing must be seen without a break before it counts, ms. */
export interface VerdictDelays {
  readonly failingMs: number;
  readonly wellMs: number;
}

/** Whether a host is ill, and since when every look says the other thing, ms; absent where the last one did not. */
export interface Verdict {
  readonly isIll: boolean;
  readonly otherwiseSinceMs?: number;
}

export const WELL: Verdict = { isIll: false };
export const ILL: Verdict = { isIll: true };

/** What a host reported before this says nothing of now, ms: an agent looks at its hardware once a minute. */
const STALE_MS = 5 * 60_000;

/** A host of which nothing is known is not seen to be well. `ageMs`: for how long it has reported no newer look. */
export function snapshotOf(health: HostHealth | undefined, ageMs: number): HealthSnapshot {
  if (health === undefined || ageMs > STALE_MS) return 'unclear';
  if (health.signals.some(({ level }) => level === 'failing')) return 'failing';
  return health.signals.length === 0 ? 'well' : 'unclear';
}

/**
 * The verdict after one more look. It changes only after the other thing was seen for so long without a break, so it changes
 * at most once in that time, whatever is seen. `nowMs`: of a clock that never goes back.
 */
export function judged(
  before: Verdict,
  seen: HealthSnapshot,
  nowMs: number,
  { failingMs, wellMs }: VerdictDelays,
): Verdict {
  const { isIll } = before;
  if (seen !== (isIll ? 'well' : 'failing')) return { isIll };
  const sinceMs = before.otherwiseSinceMs ?? nowMs;
  return nowMs - sinceMs >= (isIll ? wellMs : failingMs)
    ? { isIll: !isIll }
    : { isIll, otherwiseSinceMs: sinceMs };
}
