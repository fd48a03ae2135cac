/**
 * `administrator`: entries of admins and of users of the Unix socket. `change`: entries of all other callers.
 * `attempt`: refused requests of any caller.
 */
export type AuditRank = 'administrator' | 'change' | 'attempt';

export interface AuditShare {
  readonly rank: AuditRank;
  readonly caller: string;
  readonly count: number;
  readonly newestMs: number;
}

export interface CutShare extends AuditShare {
  readonly keep: number;
}

/** Share of the log that administrators' entries may fill. The rest is always for other callers. */
const ADMINISTRATORS = 3 / 4;

/** All strangers count as one caller, because an attacker has many addresses. */
const STRANGERS = 'strangers';

interface Who {
  readonly who: string;
  readonly role: string;
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

/** Max-min fair: the smallest shares first, each with up to an equal part of the remaining capacity. */
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
