import { z } from 'zod';
import { hostName, ms } from '../names.ts';
import { ipAddress } from '../network.ts';

/** Kinds of probes in the order of attempts. */
export const PROBE_KINDS = ['arp', 'icmp', 'tcp', 'http'] as const;
export const probeKind = z.enum(PROBE_KINDS);
export type ProbeKind = z.infer<typeof probeKind>;

/** Hosts that watch one guest at once. */
export const MAX_PROBES = 8;
const count = z.number().int().nonnegative();

const waits = z.object({ count: z.number().int().positive(), p50Ms: ms, p99Ms: ms });
/** Longest probing after a move, ms. */
export const MAX_LATER_MS = 600_000;
export const later = z.object({
  waits: waits.optional(),
  sent: count,
  answered: count,
  gapMs: ms,
  /** Time of probing so far, ms. */
  forMs: ms,
  complete: z.boolean(),
  /** Why it was not; absent while it continues. */
  ended: z.string().max(1024).optional(),
});
export type Later = z.infer<typeof later>;

/** Latencies: before memory moved, until the guest ran at its destination, and since, ms. */
export const latency = z.object({
  before: waits.optional(),
  during: waits.optional(),
  /** Until the migration ended. */
  after: waits.optional(),
  later: later.optional(),
});
export type Latency = z.infer<typeof latency>;

export const probeReport = z.object({
  host: hostName,
  kind: probeKind.optional(),
  address: ipAddress.optional(),
  /** Longest time without an answer, and the longest at the switch, ms. */
  gapMs: ms.optional(),
  switchGapMs: ms.optional(),
  /** Start of the longest: ms since the migration's request, by the source's clock. */
  gapAtMs: ms.optional(),
  isOpen: z.boolean().optional(),
  intervalMs: ms.optional(),
  sent: count.optional(),
  answered: count.optional(),
  ownStallMs: ms.optional(),
  watchedMs: ms.optional(),
  /** Absent in earlier builds. */
  latency: latency.optional(),
  /** Duration of the later probing, ms, or why there is none. */
  goesOnMs: ms.optional(),
  goesNot: z.string().max(1024).optional(),
  notTried: z.string().max(1024).optional(),
});
export type ProbeReport = z.infer<typeof probeReport>;
export const probeReports = z.array(probeReport).max(MAX_PROBES);
