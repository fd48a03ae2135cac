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
 * The gap that a migration makes, as hosts see it that have no part in it: the source's mover asks their agents to
 * watch the guest's addresses, and fetches what they saw. A peer of another build that knows nothing of it does not
 * probe.
 */

const port = z.number().int().min(1).max(65_535);

/** Of a guest's addresses, as many as a watch asks. */
export const MAX_ADDRESSES = 8;

/** How a guest is asked; each part has its default. */
export const probing = z.strictObject({
  /** `auto`: the first kind that the guest answers. */
  kind: z.enum(['auto', ...PROBE_KINDS]).default('auto'),
  /** TCP: these are connected to, one after the other; a refusal is an answer as well. */
  ports: z.array(port).min(1).max(4).default([9]),
  /** HTTP: any answer counts; not tried where absent. */
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

/** The same in a host's configuration (`network.probe`). */
export const guestProbing = probing.extend({
  /** From where; default: the peers that have no part in the migration. */
  hosts: z.array(hostName).max(MAX_PROBES).optional(),
  /** Guest -> its addresses, where no host knows them. */
  addresses: z.record(guestName, z.array(ipAddress).max(MAX_ADDRESSES)).default({}),
  /** For how long a guest is probed after its migration, less often, ms; 0: not. */
  laterMs: z.number().int().min(0).max(MAX_LATER_MS).default(MAX_LATER_MS),
});

/** How long a watch goes on unless it is asked for again, ms. */
const leaseMs = z.number().int().min(1000).max(60_000);

export const watchOrder = z.object({
  id: migrationId,
  guest: guestName,
  /** The host that admitted it, which is asked. Whoever does not name one is of an earlier build, and is refused. */
  to: hostName.optional(),
  /** As the source has them. Links are the source's own; which segment that is here, this host finds out. */
  nics: nicNetworks,
  /**
   * Its manager moves it, so no host has admitted it and nobody's word of its addresses counts: who watches has them in its
   * own configuration.
   */
  managed: z.literal(true).optional(),
  probing: z.object(probing.shape),
  /** It is asked no more often than that, ms. */
  leastIntervalMs: z.number().int().min(1).max(1000).optional(),
  leaseMs,
});
export type WatchOrder = z.infer<typeof watchOrder>;

const wallMs = z.number().nonnegative().max(Number.MAX_SAFE_INTEGER);

export const watchAnswer = z.object({
  watching: z.boolean(),
  /** Why it is not watched. */
  why: z.string().max(1024).optional(),
  /** The clock of the host that answers, ms since 1970: the switch will be named by it. */
  wallMs: wallMs.optional(),
});
export type WatchAnswer = z.infer<typeof watchAnswer>;

/** When the guest was paused, by the clock of the host that watches, as well as another one knows it. */
const switchTime = z.object({ fromMs: wallMs, toMs: wallMs });
export type SwitchTime = z.infer<typeof switchTime>;
const watchEnd = z.object({
  switch: switchTime.optional(),
  /** When memory began to move, by the same clock. */
  memoryFromMs: wallMs.optional(),
  /** The guest is probed for so long from then on, less often, ms. */
  laterMs: z.number().int().min(1).max(MAX_LATER_MS).optional(),
});
export type WatchEnd = z.infer<typeof watchEnd>;

const count = z.number().int().nonnegative();

/** What was seen of one guest from one place. */
export const seen = z.object({
  kind: probeKind,
  address: ipAddress,
  /** Between two probes, ms. */
  intervalMs: ms,
  /** Longest time between two answers, ms, and how long before this report it had begun. */
  gapMs: ms,
  gapBeganAgoMs: ms.optional(),
  /** The longest at the switch, where that was named and watched, ms. */
  switchGapMs: ms.optional(),
  /** The guest did not answer any more when this was reported. */
  isOpen: z.boolean(),
  sent: count,
  answered: count,
  /** Longest time for which the watch itself did not run: a gap of this size may be its own. */
  ownStallMs: ms,
  watchedMs: ms,
  latency: latency.optional(),
});
export type WatchMeasures = z.infer<typeof seen>;

/** What a watch comes to: what was seen, or why nothing was. */
export const watchResult = z.object({
  seen: seen.optional(),
  notTried: z.string().max(1024).optional(),
  /** For how long it goes on, ms, where that was asked for; or why it does not. */
  goesOnMs: ms.optional(),
  goesNot: z.string().max(1024).optional(),
});
export type WatchResult = z.infer<typeof watchResult>;

/** What is seen since then: nothing yet, so much, or why nothing is known of it. */
const laterAnswer = z.object({
  later: later.optional(),
  why: z.string().max(1024).optional(),
});
export type LaterAnswer = z.infer<typeof laterAnswer>;

/** What the destination of a migration says of the guest that it admitted, to a host that is asked to watch it. */
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
 * To the process that watches, a line each; it answers each but `stay` with one line. Where it goes on after `end`, a line
 * with `later` follows each few seconds.
 */
export const watcherLine = z.discriminatedUnion('verb', [
  z.object({
    verb: z.literal('watch'),
    /** Of the process's ports on this host. */
    owner: z.string().min(1).max(128),
    nics: nicNetworks,
    /** Of this host's own configuration, where only its manager knows its NICs. */
    addresses: z.array(ipAddress).max(MAX_ADDRESSES).optional(),
    leastIntervalMs: z.number().int().min(1).max(1000).optional(),
    /** Link of the source -> link here, where the names differ. */
    bridges: z.record(z.string().max(15), z.string().max(15)),
    probing: z.object(probing.shape),
    leaseMs: z.number().int().min(100).max(3_600_000),
  }),
  z.object({ verb: z.literal('stay'), leaseMs }),
  watchEnd.extend({ verb: z.literal('end') }),
]);
export type WatcherLine = z.infer<typeof watcherLine>;

/** Routes of an agent for the movers of other hosts; a part of agentContract. Each may be called again. */
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
