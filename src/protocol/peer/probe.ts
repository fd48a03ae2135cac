import { z } from 'zod';
import { guestName, hostName, migrationId, ms } from '../names.ts';
import { ipAddress, nicNetwork, nicNetworks } from '../network.ts';
import {
  later,
  latency,
  MAX_LATER_MS,
  MAX_PROBES,
  PROBE_KINDS,
  probeKind,
} from '../public/probe.ts';
import { LARGE_BYTES, route } from '../route.ts';

/**
 * Measures a migration's gap from other hosts: the source's mover asks their agents to watch the guest's addresses, and
 * fetches the results. Agents of builds without probing do not take part.
 */

const port = z.number().int().min(1).max(65_535);

export const MAX_ADDRESSES = 8;

/** How a guest is probed; every field has a default. */
export const probing = z.strictObject({
  /** `auto`: the first kind that the guest answers. */
  kind: z.enum(['auto', ...PROBE_KINDS]).default('auto'),
  /** TCP ports to connect to in turn; a refusal is an answer as well. */
  ports: z.array(port).min(1).max(4).default([9]),
  /** HTTP: any answer counts; absent: not tried. */
  http: z
    .strictObject({
      port: port.default(80),
      path: z
        .string()
        .regex(/^\/[\x21-\x7e]{0,255}$/, 'a path: /...')
        .default('/'),
    })
    .optional(),
});
export type Probing = z.infer<typeof probing>;

export const guestProbing = probing.extend({
  /** Probing hosts; default: peers that have no part in the migration. */
  hosts: z.array(hostName).max(MAX_PROBES).optional(),
  /** Addresses by guest, if no host has them. */
  addresses: z.record(guestName, z.array(ipAddress).max(MAX_ADDRESSES)).default({}),
  /** Time of slower probing after the migration, ms; 0: none. */
  laterMs: z.number().int().min(0).max(MAX_LATER_MS).default(MAX_LATER_MS),
});

/** Lifetime of a watch without renewal, ms. */
const leaseMs = z.number().int().min(1000).max(60_000);

export const watchOrder = z.object({
  id: migrationId,
  guest: guestName,
  to: hostName.optional(),
  /** From the source, with its link names; this host finds its own segment. */
  nics: nicNetworks,
  /**
   * A manager moves the guest, so no host can confirm its addresses: they must be in the watching host's configuration.
   */
  managed: z.literal(true).optional(),
  probing: z.object(probing.shape),
  /** Minimum interval between probes, ms. */
  leastIntervalMs: z.number().int().min(1).max(1000).optional(),
  leaseMs,
});
export type WatchOrder = z.infer<typeof watchOrder>;

const wallMs = z.number().nonnegative().max(Number.MAX_SAFE_INTEGER);

export const watchAnswer = z.object({
  watching: z.boolean(),
  why: z.string().max(1024).optional(),
  /** Clock of the answering host, ms since 1970; the time of the switch is converted to it. */
  wallMs: wallMs.optional(),
});
export type WatchAnswer = z.infer<typeof watchAnswer>;

/** When the guest was paused, by the watching host's clock, as an interval. */
const switchTime = z.object({ fromMs: wallMs, toMs: wallMs });
export type SwitchTime = z.infer<typeof switchTime>;
const watchEnd = z.object({
  switch: switchTime.optional(),
  /** Start of the memory phase, by the same clock. */
  memoryFromMs: wallMs.optional(),
  laterMs: z.number().int().min(1).max(MAX_LATER_MS).optional(),
});
export type WatchEnd = z.infer<typeof watchEnd>;

const count = z.number().int().nonnegative();

/** Observations of one guest from one place. */
export const seen = z.object({
  kind: probeKind,
  address: ipAddress,
  intervalMs: ms,
  /** Longest time without an answer, ms, and how long before this report it began. */
  gapMs: ms,
  gapBeganAgoMs: ms.optional(),
  switchGapMs: ms.optional(),
  /** The guest no longer answered at the time of the report. */
  isOpen: z.boolean(),
  sent: count,
  answered: count,
  /** Longest stall of the watch itself; a gap of this size may be its own. */
  ownStallMs: ms,
  watchedMs: ms,
  latency: latency.optional(),
});
export type WatchMeasures = z.infer<typeof seen>;

export const watchResult = z.object({
  seen: seen.optional(),
  notTried: z.string().max(1024).optional(),
  /** Duration of the requested later probing, ms, or why there is none. */
  goesOnMs: ms.optional(),
  goesNot: z.string().max(1024).optional(),
});
export type WatchResult = z.infer<typeof watchResult>;

const laterAnswer = z.object({
  later: later.optional(),
  why: z.string().max(1024).optional(),
});
export type LaterAnswer = z.infer<typeof laterAnswer>;

export const admittedGuest = z.object({
  guest: guestName,
  from: hostName,
  /** Absent until its source has described it. */
  nics: z
    .array(nicNetwork.pick({ mac: true, addresses: true }))
    .max(64)
    .optional(),
});
export type AdmittedGuest = z.infer<typeof admittedGuest>;

/**
 * Input of the watching process, one per line; it answers each but `stay` with one line. If it continues after `end`,
 * lines with `later` follow every few seconds.
 */
export const watcherLine = z.discriminatedUnion('verb', [
  z.object({
    verb: z.literal('watch'),
    owner: z.string().min(1).max(128),
    nics: nicNetworks,
    /** Addresses from this host's configuration, if only its manager reports its NICs. */
    addresses: z.array(ipAddress).max(MAX_ADDRESSES).optional(),
    leastIntervalMs: z.number().int().min(1).max(1000).optional(),
    /** Link of the source -> link here, if the names differ. */
    bridges: z.record(z.string().max(15), z.string().max(15)),
    probing: z.object(probing.shape),
    leaseMs: z.number().int().min(100).max(3_600_000),
  }),
  z.object({ verb: z.literal('stay'), leaseMs }),
  watchEnd.extend({ verb: z.literal('end') }),
]);
export type WatcherLine = z.infer<typeof watcherLine>;

/** Routes of an agent for other hosts' movers. All are idempotent. */
export const probeRoutes = {
  watch: route({
    method: 'POST',
    path: '/v1/watches',
    summary: 'Watch a guest that another host moves, for a while; again to go on',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    body: watchOrder,
    response: watchAnswer,
  }),
  admittedGuest: route({
    method: 'GET',
    path: '/v1/incoming/:id/guest',
    summary: 'Which guest comes here, and its addresses, for a host that is asked to watch it',
    access: 'agent',
    answerBytes: LARGE_BYTES,
    params: z.object({ id: migrationId }),
    response: admittedGuest,
  }),
  endWatch: route({
    method: 'POST',
    path: '/v1/watches/:id/end',
    summary: 'End that watch, and report what was seen',
    access: 'agent',
    params: z.object({ id: migrationId }),
    body: watchEnd,
    response: watchResult,
  }),
  laterWatch: route({
    method: 'GET',
    path: '/v1/watches/:id/later',
    summary: 'What has been seen of that guest since the watch ended, where it is probed on',
    access: 'agent',
    params: z.object({ id: migrationId }),
    response: laterAnswer,
  }),
};
