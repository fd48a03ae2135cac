import type { DiskLatency, DiskRequests } from '../../protocol/disk.ts';
import type { ExpectedRequests, LinkMeasure, Range } from '../../protocol/public/prediction.ts';
import { medianOf } from './own-times.ts';
import { MAX_LOOKED_AT, weightOf } from './parameters.ts';

/** Predicts the latency of a guest's disk requests during a copy. Pure. */

export type RequestKind = 'reads' | 'writes' | 'flushes';
export type Percentile = 'p50Ms' | 'p99Ms';

/** Requests needed to estimate each percentile. */
const ENOUGH: Readonly<Record<Percentile, number>> = { p50Ms: 20, p99Ms: 100 };
/** Ratio of a range's ends to its middle. Assumed. */
const SPREAD: Readonly<Record<Percentile, number>> = { p50Ms: 3, p99Ms: 5 };
/** Link bytes per write that waits for its copy; memory uses the other half of the link. Assumed. */
const WRITE_BYTES = 64 * 1024;
const LINK_SHARE = 0.5;
/** Maximum factor learned from a few migrations. */
const MAX_LEARNED = 8;

export interface LatencyFacts {
  readonly link: Pick<LinkMeasure, 'rate' | 'roundTripMs'> | undefined;
  readonly maxBandwidth: number | undefined;
  readonly own: readonly DiskLatency[];
}

/** Per disk: current latency (`before`) and expected latency. */
export function expectedLatencies(
  disks: readonly DiskLatency[],
  facts: LatencyFacts,
): ExpectedRequests[] {
  return disks.flatMap(({ node, before }) => {
    if (before === undefined) return [];
    const times = (kind: RequestKind) => ({
      ...expected(before, kind, 'p50Ms', facts),
      ...expected(before, kind, 'p99Ms', facts),
    });
    const kinds = { reads: times('reads'), writes: times('writes'), flushes: times('flushes') };
    return [{ node, now: before, ...kinds }];
  });
}

function expected(
  before: DiskRequests,
  kind: RequestKind,
  at: Percentile,
  facts: LatencyFacts,
): Partial<Record<Percentile, Range>> {
  const now = knownOf(before, kind, at);
  if (now === undefined) return {};
  // Only writes wait for copies, and only from the second round of memory on.
  const waitMs = kind === 'writes' ? writeWaitMs(facts) : 0;
  const modelled = at === 'p99Ms' ? now + waitMs : now;
  const ratios = ratiosOf(facts.own, kind, at);
  const weight = weightOf(ratios.length);
  const learned = ratios.length === 0 ? modelled : now * within(medianOf(ratios));
  const middle = modelled ** (1 - weight) * learned ** weight;
  const spread = SPREAD[at];
  return { [at]: { low: middle / spread, middle, high: middle * spread + waitMs } };
}

/** Wait of a write that goes to both hosts; 0 if the link is unknown. */
function writeWaitMs({ link, maxBandwidth = Number.POSITIVE_INFINITY }: LatencyFacts): number {
  if (link === undefined) return 0;
  const rate = Math.max(1, Math.min(link.rate, maxBandwidth) * LINK_SHARE);
  return (link.roundTripMs ?? 0) + (WRITE_BYTES * 1000) / rate;
}

function ratiosOf(own: readonly DiskLatency[], kind: RequestKind, at: Percentile): number[] {
  const found = own.flatMap(({ before, during }) => {
    const [was, is] = [knownOf(before, kind, at), knownOf(during, kind, at)];
    return was === undefined || is === undefined ? [] : [is / was];
  });
  return found.slice(0, MAX_LOOKED_AT);
}

/** Undefined if too few were counted, or some took longer than the hypervisor's last bin. */
export function knownOf(
  requests: DiskRequests | undefined,
  kind: RequestKind,
  at: Percentile,
): number | undefined {
  const { count = 0, isLeast, [at]: ms = 0 } = requests?.[kind] ?? {};
  return count < ENOUGH[at] || isLeast === true || ms <= 0 ? undefined : ms;
}

const within = (ratio: number): number => Math.min(MAX_LEARNED, Math.max(1 / MAX_LEARNED, ratio));
