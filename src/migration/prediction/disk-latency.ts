import type { DiskLatency, DiskRequests } from '../../protocol/disk.ts';
import type { ExpectedRequests, LinkMeasure, Range } from '../../protocol/public/prediction.ts';
import { medianOf } from './own-times.ts';
import { MAX_LOOKED_AT, weightOf } from './parameters.ts';

/** How long a guest's own requests to a disk will take while it is copied. Pure. */

export type RequestKind = 'reads' | 'writes' | 'flushes';
export type Percentile = 'p50Ms' | 'p99Ms';

/** Of fewer requests nobody can say such a percentile. */
const ENOUGH: Readonly<Record<Percentile, number>> = { p50Ms: 20, p99Ms: 100 };
/** A range reaches so many times below and above its middle. Assumed. */
const SPREAD: Readonly<Record<Percentile, number>> = { p50Ms: 3, p99Ms: 5 };
/** A write that waits for its copy: so much goes over the link for it, of which the other half is memory's. Assumed. */
const WRITE_BYTES = 64 * 1024;
const LINK_SHARE = 0.5;
/** What a few migrations say is believed up to here. */
const MAX_LEARNED = 8;

export interface LatencyFacts {
  readonly link: Pick<LinkMeasure, 'rate' | 'roundTripMs'> | undefined;
  readonly maxBandwidth: number | undefined;
  /** Of this host's own migrations, the newest first. */
  readonly own: readonly DiskLatency[];
}

/** Of each disk: how long requests take now (`before`), and what to expect. */
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

/** Nothing where too few requests were counted. */
function expected(
  before: DiskRequests,
  kind: RequestKind,
  at: Percentile,
  facts: LatencyFacts,
): Partial<Record<Percentile, Range>> {
  const now = knownOf(before, kind, at);
  if (now === undefined) return {};
  // Only writes wait for their copies, and only from the second round of memory on: a few of all that are counted.
  const waitMs = kind === 'writes' ? writeWaitMs(facts) : 0;
  const modelled = at === 'p99Ms' ? now + waitMs : now;
  const ratios = ratiosOf(facts.own, kind, at);
  const weight = weightOf(ratios.length);
  const learned = ratios.length === 0 ? modelled : now * within(medianOf(ratios));
  const middle = modelled ** (1 - weight) * learned ** weight;
  const spread = SPREAD[at];
  return { [at]: { low: middle / spread, middle, high: middle * spread + waitMs } };
}

/** What a write waits for once it goes to both hosts; 0 where the link is not known. */
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

/** Undefined where too few were counted to say it, or some took longer than the hypervisor tells apart. */
export function knownOf(
  requests: DiskRequests | undefined,
  kind: RequestKind,
  at: Percentile,
): number | undefined {
  const { count = 0, isLeast, [at]: ms = 0 } = requests?.[kind] ?? {};
  return count < ENOUGH[at] || isLeast === true || ms <= 0 ? undefined : ms;
}

const within = (ratio: number): number => Math.min(MAX_LEARNED, Math.max(1 / MAX_LEARNED, ratio));
