import { mayHaveLivedUntilMs } from './source-sight.ts';
import type { SourceSight } from './source-sight.ts';

/**
 * Whether a kept description of a guest is still what the guest was when its host died. A recovery from another description
 * opens the wrong images: the guest loses what it wrote since, and newer images are ruined.
 */

/** Between two heartbeats of a source, ms. */
export const HEARTBEAT_MS = 10_000;
/** A description may be unconfirmed for this much of its host's life; six heartbeats, ms. */
export const MAX_UNCONFIRMED_MS = 60_000;

export interface KeptDescription {
  /** Of the guest's devices and block graph as the description has them; absent: its host sends none. */
  readonly digest?: string | undefined;
  /** The same as its host reported it last. */
  readonly reportedDigest?: string | undefined;
  /** When its host last reported the digest of the description, ms, by the clock of `SourceSight`; absent: never. */
  readonly confirmedAtMs?: number | undefined;
  /** Another host that had this guest confirmed a description of it later. */
  readonly laterAt?: string | undefined;
}

/** `reason` is a clause for people. */
export type Freshness =
  | { readonly kind: 'fresh' }
  | { readonly kind: 'stale'; readonly reason: string };

export function judgeFreshness(
  { digest, reportedDigest, confirmedAtMs, laterAt }: KeptDescription,
  sight: SourceSight,
  nowMs: number,
): Freshness {
  const stale = (reason: string): Freshness => ({ kind: 'stale', reason });
  if (laterAt !== undefined) return stale(`${laterAt} had the guest later`);
  if (digest === undefined || confirmedAtMs === undefined)
    return stale('its host never confirmed it');
  if (reportedDigest !== digest)
    return stale('its disks or devices have changed since, as its host reported');
  const gapMs = mayHaveLivedUntilMs(sight, nowMs) - confirmedAtMs;
  if (gapMs <= MAX_UNCONFIRMED_MS) return { kind: 'fresh' };
  const seconds = Math.round(gapMs / 1000);
  return stale(`its host may have lived for ${seconds} s after it confirmed it last`);
}

/** A description that its host has not confirmed for this long is dropped, but only while that host answers, ms. */
export const UNCONFIRMED_EXPIRES_MS = 7 * 86_400_000;
/** For so long without a break it must have answered by then: a host that has just come back has yet to confirm. */
export const ANSWERS_FOR_MS = 3_600_000;
/** A host that is in neither the fleet's list nor `peers` for this long has left the fleet, ms. */
export const NOT_A_MEMBER_MS = 600_000;

export interface KeptAge {
  /** When it was confirmed last, or kept if it never was, ms. */
  readonly atMs: number;
  /** Since when its host is not a member of the fleet, ms; absent: it is one, or the list cannot be read. */
  readonly notMemberSinceMs?: number | undefined;
}

/** Why a description is dropped; undefined: it is kept. Death and silence of its host never drop it. */
export function whyExpired(
  { atMs, notMemberSinceMs }: KeptAge,
  { answersSinceMs }: SourceSight,
  nowMs: number,
): string | undefined {
  if (notMemberSinceMs !== undefined && nowMs - notMemberSinceMs >= NOT_A_MEMBER_MS)
    return 'its host has left the fleet';
  const isOld = nowMs - atMs >= UNCONFIRMED_EXPIRES_MS;
  const answers = answersSinceMs !== undefined && nowMs - answersSinceMs >= ANSWERS_FOR_MS;
  return isOld && answers ? 'its host answers, and has not confirmed it for 7 days' : undefined;
}
