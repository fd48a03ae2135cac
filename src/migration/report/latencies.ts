import { defined } from '../../protocol/defined.ts';
import type { DiskRequests, RequestTimes } from '../../protocol/disk.ts';

/** How long a guest's requests took, from what its hypervisor counted. Pure. */

/** How many requests took how long, ns: `bins[0]` less than `boundaries[0]`, and the last bin no less than the last of them. */
export interface Histogram {
  readonly boundaries: readonly number[];
  readonly bins: readonly number[];
}

/** What a guest has asked of a disk; a kind is absent where it is not counted. */
export interface RequestCounts {
  readonly node: string;
  readonly reads?: Histogram;
  readonly writes?: Histogram;
  readonly flushes?: Histogram;
}

const NS_PER_MS = 1e6;

export function requestsOf(
  { reads, writes, flushes }: Omit<RequestCounts, 'node'>,
  overMs: number | undefined,
): DiskRequests {
  return {
    ...defined({ overMs }),
    ...(reads === undefined ? {} : { reads: timesOf(reads) }),
    ...(writes === undefined ? {} : { writes: timesOf(writes) }),
    ...(flushes === undefined ? {} : { flushes: timesOf(flushes) }),
  };
}

/** A percentile is the longest that its bin holds: the request took no longer, and no less than the boundary below. */
export function timesOf({ boundaries, bins }: Histogram): RequestTimes {
  const count = bins.reduce((sum, bin) => sum + bin, 0);
  const longest = boundaries.at(-1);
  if (count === 0 || longest === undefined) return { count };
  const at = (share: number): number | undefined => {
    const rank = Math.ceil(count * share);
    let seen = 0;
    return boundaries.find((_boundary, index) => (seen += bins[index] ?? 0) >= rank);
  };
  const [p50, p99] = [at(0.5), at(0.99)];
  return {
    count,
    p50Ms: (p50 ?? longest) / NS_PER_MS,
    p99Ms: (p99 ?? longest) / NS_PER_MS,
    ...(p99 === undefined ? { isLeast: true } : {}),
  };
}
