import { passedMs, type BootTime } from '../boot-time.ts';
import type { SourceSight } from './source-sight.ts';

/**
 * Decides whether a kept description still matched the guest when its host died. An outdated description opens the
 * wrong images: the guest loses its latest writes, and newer images are ruined.
 *
 * Silence is not death. A host without a network continues to run guests on shared storage, and an operator or a
 * backup may change their disks. A host counts as alive until it is proved off.
 */

export const HEARTBEAT_MS = 10_000;
/**
 * Maximum time from the last confirmation to the proof that the host is off, ms. A controller waits for 60 s by
 * default; the silence before the hook and the hook take up to 200 s more.
 */
export const MAX_UNCONFIRMED_MS = 300_000;

/** A live host that does not confirm a guest in this many heartbeats has changed it, moves it, or cannot ask it. */
export const MAX_MISSED_BEATS = 2;

export interface KeptDescription {
  /** Digest of devices and block graph in the description; absent: its host sends none. */
  readonly digest?: string | undefined;
  readonly reportedDigest?: string | undefined;
  /** Last time that its host reported the description's digest; absent: never, or before this host rebooted. */
  readonly confirmed?: BootTime | undefined;
  readonly wasConfirmed: boolean;
  /** Later heartbeats that named the guest without confirming it. */
  readonly missedBeats?: number | undefined;
  /** Host that reported the guest later and cannot be asked. */
  readonly laterAt?: string | undefined;
}

/** Another host's reports on the guest, by the clock of the host that keeps both descriptions. */
export interface OtherReport {
  /** Time of its last description of the guest; undefined: before this host rebooted, or kept by an earlier build. */
  readonly described?: BootTime | undefined;
  /** Time of its last description or digest of the guest. */
  readonly reported?: BootTime | undefined;
}

/** Maximum gap between reports of two live hosts on the same guest, ms; heartbeats come every 10 s. */
export const MAX_IN_TURNS_MS = 15_000;

/**
 * True if another host reported the guest after the last confirmation. A host that alternates with the guest's host
 * does not count as later.
 *
 * Only used if that host cannot be asked, because its report alone is not proof: see `Standbys.stateOf`.
 */
export function isLater({ described, reported }: OtherReport, confirmed: BootTime): boolean {
  const laterMs = reported === undefined ? undefined : passedMs(confirmed, reported);
  if (laterMs === undefined || laterMs <= 0) return false;
  const knownForMs = described === undefined ? undefined : passedMs(described, confirmed);
  const isInTurns = knownForMs !== undefined && knownForMs >= 0 && laterMs <= MAX_IN_TURNS_MS;
  return !isInTurns;
}

/** `reason` is a clause for people. */
export type Freshness =
  | { readonly kind: 'fresh'; readonly confirmed: BootTime }
  | { readonly kind: 'stale'; readonly reason: string };

/** `now`: time of the proof that the host is off, or the present without one. */
export function judgeFreshness(
  { digest, reportedDigest, confirmed, wasConfirmed, missedBeats = 0, laterAt }: KeptDescription,
  now: BootTime,
): Freshness {
  const stale = (reason: string): Freshness => ({ kind: 'stale', reason });
  if (laterAt !== undefined)
    return stale(`${laterAt} reported later that it had the guest, and cannot be asked`);
  if (digest === undefined || !wasConfirmed) return stale('its host never confirmed it');
  if (reportedDigest !== digest)
    return stale('its disks or devices have changed since, as its host reported');
  if (missedBeats >= MAX_MISSED_BEATS)
    return stale(`its host did not confirm it in its last ${missedBeats} heartbeats`);
  const why = whyOutlived(confirmed, now);
  return why === undefined && confirmed !== undefined
    ? { kind: 'fresh', confirmed }
    : stale(why ?? RESTARTED);
}

const RESTARTED =
  'the host that keeps it was restarted since, and cannot tell for how long the other host lived';

/** Reason why the other host may have changed the guest since; undefined if `offAt`, the proof, came soon enough. */
export function whyOutlived(confirmed: BootTime | undefined, offAt: BootTime): string | undefined {
  const gapMs = confirmed === undefined ? undefined : passedMs(confirmed, offAt);
  if (gapMs === undefined) return RESTARTED;
  if (gapMs >= 0 && gapMs <= MAX_UNCONFIRMED_MS) return undefined;
  return `its host may have lived for ${Math.round(gapMs / 1000)} s after it confirmed it last: silence is not death`;
}

/** An unconfirmed description is dropped after this time, but only while its host answers, ms. */
export const UNCONFIRMED_EXPIRES_MS = 7 * 86_400_000;
/** Time of unbroken answers that this requires, since a host that just returned has yet to confirm. */
export const ANSWERS_FOR_MS = 3_600_000;
/** A host that is in neither the fleet list nor `peers` for this long has left the fleet, ms. */
export const NOT_A_MEMBER_MS = 600_000;

export interface KeptAge {
  /** Last confirmation, or the time of storing if there is none, ms. */
  readonly atMs: number;
  /** Since when its host is not in the fleet, ms; absent: it is, or the list cannot be read. */
  readonly notMemberSinceMs?: number | undefined;
}

/** Reason to drop a description; undefined: keep it. Its host's death or silence is never a reason. */
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
