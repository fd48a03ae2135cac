/**
 * Evidence on the storage itself. A guest only reads the images below the tops of its disks. If one of them changed after the
 * guest's host confirmed the description, a commit or an edit outdated it, and the tops no longer fit. Pure.
 */

/** What a stat of an image's open file reports. */
export interface ImageStamp {
  /** The block node of the image. */
  readonly node: string;
  readonly bytes: number;
  /** Of the last write, ns since 1970 by the clock of the storage. */
  readonly writtenNs: string;
}

/** The same of the file that this host would open; absent: it cannot be read now. */
export type FoundStamp = Pick<ImageStamp, 'bytes' | 'writtenNs'>;

const SECOND_NS = 1_000_000_000n;
const MICROSECOND_NS = 1000n;

/** The first image that changed; undefined: none did, as far as both hosts can tell. */
export function changedImage(
  confirmed: readonly ImageStamp[],
  found: ReadonlyMap<string, FoundStamp>,
): string | undefined {
  return confirmed.find((each) => {
    const now = found.get(each.node);
    return now !== undefined && !isSame(each, now);
  })?.node;
}

/** Some mounts keep whole seconds, and some protocols less than ns: the other host may see the same time in a coarser step. */
function isSame(one: FoundStamp, other: FoundStamp): boolean {
  if (one.bytes !== other.bytes) return false;
  const [left, right] = [BigInt(one.writtenNs), BigInt(other.writtenNs)];
  const isWhole = [left, right].some((each) => each % SECOND_NS === 0n);
  const step = isWhole ? SECOND_NS : MICROSECOND_NS;
  return left / step === right / step;
}
