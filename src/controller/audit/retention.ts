/** How the places of the audit log are divided among the callers that fill it. Pure. */

/**
 * `administrator`: entries of admins and of users of the unix socket. `change`: entries of all other callers. `attempt`:
 * requests that were refused before they began, by any caller.
 */
export type AuditRank = 'administrator' | 'change' | 'attempt';

/** The entries of one caller and one rank. */
export interface AuditShare {
  readonly rank: AuditRank;
  readonly caller: string;
  readonly count: number;
  /** The newest entry, ms since 1970. */
  readonly newestMs: number;
}

export interface CutShare extends AuditShare {
  /** The number of entries to keep, the newest ones. */
  readonly keep: number;
}

/** The part of the log that administrators' entries may fill. The other callers always have the rest. */
const ADMINISTRATORS = 3 / 4;

/** All strangers are one caller: an attacker has as many addresses as it likes. */
const STRANGERS = 'strangers';

interface Who {
  readonly who: string;
  readonly role: string;
  /** How the controller knows the caller, see AuditMeans. */
  readonly by: string;
}

/** A token and a session of one name are one caller; a certificate of that name is another one. */
export function callerKey({ who, role, by }: Who): string {
  if (role === 'none') return STRANGERS;
  const means = by === 'certificate' || by === 'socket' ? by : 'web';
  return `${means} ${role} ${who}`;
}

export function rankOf({ role }: Pick<Who, 'role'>, isRefused: boolean): AuditRank {
  if (isRefused) return 'attempt';
  return role === 'admin' || role === 'local' ? 'administrator' : 'change';
}

/**
 * The shares that must shrink so that `most` entries remain. A caller loses entries only while it has more than any other
 * caller keeps, and administrators' entries go last.
 */
export function cutShares(shares: readonly AuditShare[], most: number): CutShare[] {
  const [administrators, others] = [
    shares.filter(({ rank }) => rank === 'administrator'),
    shares.filter(({ rank }) => rank !== 'administrator'),
  ];
  const total = (of: readonly AuditShare[]): number =>
    of.reduce((sum, { count }) => sum + count, 0);
  const reserved = Math.max(Math.floor(most * ADMINISTRATORS), most - total(others));
  const kept = divided(administrators, reserved);
  const rest = most - kept.reduce((sum, { keep }) => sum + keep, 0);
  return [...kept, ...divided(others, rest)].filter(({ keep, count }) => keep < count);
}

/** Max-min fair: the smallest shares first, each with up to an equal part of the places that are left. */
function divided(shares: readonly AuditShare[], places: number): CutShare[] {
  let left = places;
  const sorted = shares.toSorted(
    (one, other) => one.count - other.count || one.newestMs - other.newestMs,
  );
  return sorted.map((share, at) => {
    const keep = Math.min(share.count, Math.floor(left / (sorted.length - at)));
    left -= keep;
    return { ...share, keep };
  });
}
