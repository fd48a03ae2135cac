/** What one session of a host says of itself, once a second. */
export interface Claim {
  /** Of its session. */
  readonly id: string;
  /** What it sent of late. */
  readonly bytesPerS: number;
  /** It had more to send than it was allowed to. */
  readonly isHeldBack: boolean;
  /** It never wants more. */
  readonly mostBytesPerS: number | undefined;
}

/** Who sends little keeps room to send more, or nobody would ever see that it wants to. */
const GROWTH = 1.5;
/** And is never given less than this part of an equal share. */
const MIN_PART = 0.25;

/**
 * Divides a host's budget so that each session gets what it wants, or as much as any other that wants more; what
 * nobody wants is divided too, for whoever wants it sooner than that is seen. Every session works it out for itself
 * from the same claims; the sum never exceeds the budget.
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

/** The least first; what it leaves of an equal part is there for the others. */
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
