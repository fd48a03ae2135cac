/**
 * Evidence from storage. A guest only reads the images below the tops of its disks. If one changed after the guest's
 * host confirmed the description, a commit or an edit outdated it, and the tops no longer fit. Pure.
 */

export interface ImageStamp {
  readonly node: string;
  readonly bytes: number;
  /** Last write, ns since 1970 by the storage's clock. */
  readonly writtenNs: string;
}

/** Stat of the file that this host would open; absent: unreadable now. */
export type FoundStamp = Pick<ImageStamp, 'bytes' | 'writtenNs'>;

const SECOND_NS = 1_000_000_000n;
const MICROSECOND_NS = 1000n;

/** First image that changed; undefined: none, as far as both hosts can tell. */
export function changedImage(
  confirmed: readonly ImageStamp[],
  found: ReadonlyMap<string, FoundStamp>,
): string | undefined {
  return confirmed.find((each) => {
    const now = found.get(each.node);
    return now !== undefined && !isSame(each, now);
  })?.node;
}

/** Times may be rounded, so one host may see a coarser value. */
function isSame(one: FoundStamp, other: FoundStamp): boolean {
  if (one.bytes !== other.bytes) return false;
  const [left, right] = [BigInt(one.writtenNs), BigInt(other.writtenNs)];
  const isWhole = [left, right].some((each) => each % SECOND_NS === 0n);
  const step = isWhole ? SECOND_NS : MICROSECOND_NS;
  return left / step === right / step;
}
