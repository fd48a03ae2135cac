import { z } from 'zod';
import { hostName, ms } from '../names.ts';
import { ipAddress } from '../network.ts';

/** What a host may ask a guest with, in the order in which they are tried. */
export const PROBE_KINDS = ['arp', 'icmp', 'tcp', 'http'] as const;
export const probeKind = z.enum(PROBE_KINDS);
export type ProbeKind = z.infer<typeof probeKind>;

/** Hosts that watch one guest at once. */
export const MAX_PROBES = 8;
const count = z.number().int().nonnegative();

const waits = z.object({ count: z.number().int().positive(), p50Ms: ms, p99Ms: ms });
/** After a move a guest is probed for so long at most, ms. */
export const MAX_LATER_MS = 600_000;
/** How a guest answers after its migration, when it is probed less often. */
export const later = z.object({
  /** Absent where it never answered. */
  waits: waits.optional(),
  sent: count,
  answered: count,
  /** Longest time without an answer, ms. */
  gapMs: ms,
  /** How long it has been probed, ms. */
  forMs: ms,
  /** It was probed for as long as was meant. */
  complete: z.boolean(),
  /** Why it was not; absent while it goes on. */
  ended: z.string().max(1024).optional(),
});
export type Later = z.infer<typeof later>;

/** How long answers were waited for: before memory moved, until the guest ran at its destination, and since, ms. */
export const latency = z.object({
  before: waits.optional(),
  during: waits.optional(),
  /** Until the migration ended. */
  after: waits.optional(),
  later: later.optional(),
});
export type Latency = z.infer<typeof latency>;

/** One place in a migration's report. */
export const probeReport = z.object({
  host: hostName,
  kind: probeKind.optional(),
  address: ipAddress.optional(),
  /** Longest time without an answer, and the longest at the switch, ms. */
  gapMs: ms.optional(),
  switchGapMs: ms.optional(),
  /** When the longest began: ms since the migration was asked for, by the source's clock. */
  gapAtMs: ms.optional(),
  isOpen: z.boolean().optional(),
  intervalMs: ms.optional(),
  sent: count.optional(),
  answered: count.optional(),
  ownStallMs: ms.optional(),
  watchedMs: ms.optional(),
  /** Absent from hosts of earlier builds. */
  latency: latency.optional(),
  /** For how long it probes the guest after the migration, ms; or why it does not. */
  goesOnMs: ms.optional(),
  goesNot: z.string().max(1024).optional(),
  /** Why there are no figures. */
  notTried: z.string().max(1024).optional(),
});
export type ProbeReport = z.infer<typeof probeReport>;
export const probeReports = z.array(probeReport).max(MAX_PROBES);
