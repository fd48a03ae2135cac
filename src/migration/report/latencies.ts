import { defined } from '../../protocol/defined.ts';
import type { DiskRequests, RequestTimes } from '../../protocol/disk.ts';

/** Request latencies from a hypervisor's counters. Pure. */

/**
 * Requests per latency bin, ns: `bins[0]` is below `boundaries[0]`, and the last bin is at or above the last
 * boundary.
 */
export interface Histogram {
  readonly boundaries: readonly number[];
  readonly bins: readonly number[];
}

/** A kind of request is absent if not counted. */
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

/** Percentiles are upper bounds: the end of their bin. */
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
