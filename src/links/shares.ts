/** Report of a host's session, once a second. */
export interface Claim {
  readonly id: string;
  readonly bytesPerS: number;
  readonly isHeldBack: boolean;
  /** Largest useful rate. */
  readonly mostBytesPerS: number | undefined;
}

/** A session with little traffic keeps room to grow; otherwise its demand would never show. */
const GROWTH = 1.5;
/** Minimum as a part of an equal share. */
const MIN_PART = 0.25;

/**
 * Divides a host's budget: each session gets its demand, or as much as any session with a larger one. The unused
 * rest is divided too, for demand that has not shown yet. Every session computes this from the same claims.
 */
export function sharesOf(budgetBytesPerS: number, claims: readonly Claim[]): Map<string, number> {
  const equal = budgetBytesPerS / Math.max(1, claims.length);
  const wanted = fill(
    budgetBytesPerS,
    claims.map((claim) => ({ id: claim.id, most: wish(claim, equal) })),
  );
  const beyond = fill(
    budgetBytesPerS - sumOf(wanted),
    claims.map((claim) => ({
      id: claim.id,
      most: (claim.mostBytesPerS ?? Number.POSITIVE_INFINITY) - (wanted.get(claim.id) ?? 0),
    })),
  );
  return new Map([...wanted].map(([id, share]) => [id, share + (beyond.get(id) ?? 0)]));
}

/** Smallest demand first; its unused part of an equal share goes to the others. */
function fill(
  bytesPerS: number,
  wishes: readonly { readonly id: string; readonly most: number }[],
): Map<string, number> {
  const ordered = wishes.toSorted((a, b) => a.most - b.most || (a.id < b.id ? -1 : 1));
  const shares = new Map<string, number>();
  let left = Math.max(0, bytesPerS);
  for (const [at, { id, most }] of ordered.entries()) {
    const share = Math.min(most, left / (ordered.length - at));
    shares.set(id, share);
    left -= share;
  }
  return shares;
}

function sumOf(shares: ReadonlyMap<string, number>): number {
  return [...shares.values()].reduce((sum, share) => sum + share, 0);
}

function wish({ bytesPerS, isHeldBack, mostBytesPerS }: Claim, equal: number): number {
  const wants = isHeldBack
    ? Number.POSITIVE_INFINITY
    : Math.max(bytesPerS * GROWTH, equal * MIN_PART);
  return Math.min(wants, mostBytesPerS ?? Number.POSITIVE_INFINITY);
}
