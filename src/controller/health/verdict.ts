import type { HostHealth } from '../../protocol/public/hosts/health.ts';

/** Result of one look. `unclear`: only warnings, or no data; it changes no verdict. */
export type HealthSnapshot = 'well' | 'failing' | 'unclear';

export interface VerdictDelays {
  readonly failingMs: number;
  readonly wellMs: number;
}

/** The judgement of a host, and the time since which every look contradicts it, ms; absent after a look that agrees. */
export interface Verdict {
  readonly isIll: boolean;
  readonly otherwiseSinceMs?: number;
}

export const WELL: Verdict = { isIll: false };
export const ILL: Verdict = { isIll: true };

/** Maximum age of a host's report, ms; an agent reads its hardware once a minute. */
const STALE_MS = 5 * 60_000;

/** A host without data is not seen as well. */
export function snapshotOf(health: HostHealth | undefined, ageMs: number): HealthSnapshot {
  if (health === undefined || ageMs > STALE_MS) return 'unclear';
  if (health.signals.some(({ level }) => level === 'failing')) return 'failing';
  return health.signals.length === 0 ? 'well' : 'unclear';
}

/**
 * The verdict after one more look. It changes only after an uninterrupted time of contrary looks, so at most once in
 * that time. `nowMs`: monotonic.
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
