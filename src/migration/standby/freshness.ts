import { passedMs, type BootTime } from '../boot-time.ts';
import type { SourceSight } from './source-sight.ts';

/**
 * Whether a kept description of a guest is still what the guest was when its host died. A recovery from another description
 * opens the wrong images: the guest loses what it wrote since, and newer images are ruined.
 *
 * Silence is not death. A host whose network card, switch or firewall failed goes on with its guests on shared storage, and
 * its operator or a backup changes their disks. So a host may have lived until it was proved off.
 */

/** Between two heartbeats of a source, ms. */
export const HEARTBEAT_MS = 10_000;
/**
 * From the last confirmation of a description to the proof that its host is off, ms. A controller asks for a recovery 60 s
 * after the host fell silent by default. To build the guest, the silence before the hook and the hook take up to 200 s more.
 */
export const MAX_UNCONFIRMED_MS = 300_000;

/** A host that lives and does not confirm a guest in so many heartbeats has changed it, moves it, or cannot ask it. */
export const MAX_MISSED_BEATS = 2;

export interface KeptDescription {
  /** Of the guest's devices and block graph as the description has them; absent: its host sends none. */
  readonly digest?: string | undefined;
  /** The same as its host reported it last. */
  readonly reportedDigest?: string | undefined;
  /** When its host last reported the digest of the description; absent: never, or before this host was restarted. */
  readonly confirmed?: BootTime | undefined;
  /** Its host confirmed it at some time. */
  readonly wasConfirmed: boolean;
  /** Heartbeats since then that named the guest and did not confirm it. */
  readonly missedBeats?: number | undefined;
  /** Another host that reported the guest later, and cannot be asked about it. */
  readonly laterAt?: string | undefined;
}

/** When another host reported that it has the same guest, by the clock of the host that keeps both descriptions. */
export interface OtherReport {
  /** When it described the guest last; undefined: before this host was restarted, or kept by an earlier build. */
  readonly described?: BootTime | undefined;
  /** When it last described the guest or reported a digest of it. */
  readonly reported?: BootTime | undefined;
}

/** Two hosts that both live report a guest at most so long after each other, ms: a heartbeat comes every 10 s. */
export const MAX_IN_TURNS_MS = 15_000;

/**
 * Whether another host reported the guest after the last confirmation of a description. A host that describes the guest once
 * and then confirms it in turns with the guest's own host does not have it later.
 *
 * The report is that host's word alone. It counts only if that host cannot be asked: see `Standbys.stateOf`.
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

/** `now`: the moment of the proof that the host is off, or before that the present: the proof is still to come. */
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

/** Why the other host may have changed the guest after it confirmed it; undefined if `offAt`, the proof, came soon enough. */
export function whyOutlived(confirmed: BootTime | undefined, offAt: BootTime): string | undefined {
  const gapMs = confirmed === undefined ? undefined : passedMs(confirmed, offAt);
  if (gapMs === undefined) return RESTARTED;
  if (gapMs >= 0 && gapMs <= MAX_UNCONFIRMED_MS) return undefined;
  return `its host may have lived for ${Math.round(gapMs / 1000)} s after it confirmed it last: silence is not death`;
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
