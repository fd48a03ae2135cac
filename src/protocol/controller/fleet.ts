import { z } from 'zod';
import { address, bytes, hostName, moment, shortText, siteName } from '../names.ts';
import { labels } from '../labels.ts';
import { requestId } from '../public/order.ts';
import { guestInfo, hostInfo, name64 } from '../public/hosts/host.ts';
import { hostLoad } from '../public/hosts/load.ts';

/**
 * `up`: its agent is followed. `silent`: it does not answer; its guests' state is unknown. `untrusted`, `incompatible`:
 * the peer at its address is not accepted, or has another version. `new`: not reached yet. `unfollowed`: its controller
 * is gone, and no other has reached it yet. `asleep`: the site's program put it to sleep, and it has not answered
 * since.
 */
export const hostState = z.enum([
  'new',
  'up',
  'silent',
  'untrusted',
  'incompatible',
  'unfollowed',
  'asleep',
]);
export type HostState = z.infer<typeof hostState>;

export const fleetHost = z.object({
  name: hostName,
  address,
  site: siteName.optional(),
  /** The manager that reports it; absent: it has an agent. Only the manager moves its guests. */
  manager: hostName.optional(),
  closedByManager: shortText.optional(),
  state: hostState,
  /** Start of the state; for a silent host its last report, for a woken one the wake-up. */
  since: moment,
  reason: shortText.optional(),
  /** The host's agent exceeds a limit: the rest waits or is left out. */
  excess: z.object({ since: moment, words: shortText }).optional(),
  followedBy: hostName.optional(),
  version: name64.optional(),
  cores: z.number().int().optional(),
  memoryBytes: bytes.optional(),
  /** To a hundredth of its memory. */
  memoryAvailableBytes: bytes.optional(),
  guests: z.number().int(),
  load: hostLoad.omit({ guests: true }).optional(),
});
export type FleetHost = z.infer<typeof fleetHost>;

export const listedHost = fleetHost.extend({
  /** The request that drained it, so that no guest comes until it is opened. */
  closed: z.object({ since: moment, request: requestId }).optional(),
  /** An operator's note; nothing moves there meanwhile. */
  maintenance: z.string().max(1000).optional(),
  /**
   * The host is ill: its hardware or an operator's note reports it. `request`: the drain requested by the health
   * policy.
   */
  ill: z.object({ since: moment, words: shortText, request: requestId.optional() }).optional(),
});
export type ListedHost = z.infer<typeof listedHost>;

export const fleetHostDetail = listedHost.extend({ info: hostInfo.optional() });

/** A moving guest is one entry, by its newest report, although both hosts report it. */
export const fleetGuest = z.object({
  name: guestInfo.shape.name,
  host: hostName,
  uuid: name64.optional(),
  state: guestInfo.shape.state,
  memoryBytes: bytes.optional(),
  vcpus: z.number().int().optional(),
  driver: name64,
  manager: name64.optional(),
  labels: labels.optional(),
  unmovable: guestInfo.shape.unmovable.unwrap().optional(),
  /** Absent if the called controller does not follow that host. */
  load: hostLoad.shape.guests.element.omit({ name: true }).optional(),
  migration: guestInfo.shape.migration,
  /** State of its host: unless it is `up`, the entry is the last known one. */
  hostState,
  hostSince: moment,
  /** Other hosts that report running the same guest without a move between them. Needs immediate attention. */
  alsoClaimedBy: z.array(hostName).max(64).optional(),
  copies: z
    .array(z.object({ host: hostName, state: guestInfo.shape.state }))
    .max(64)
    .optional(),
});
export type FleetGuest = z.infer<typeof fleetGuest>;

export const fleetGuestDetail = fleetGuest.extend({ info: guestInfo });

const values = z.record(z.string().max(64), z.number());

/** A sample, or the result of a minute's or hour's samples. */
export const samplePoint = z.object({
  /** Arrival, or start of the time, by the controller's clock. */
  at: moment,
  samples: z.number().int(),
  mean: values,
  /** Absent for a single sample. */
  most: values.optional(),
});
export type SamplePoint = z.infer<typeof samplePoint>;

/** Mean cores of a guest in the time from `at`. */
export const guestSamplePoint = z.object({ at: moment, cores: z.number().nonnegative() });
export type GuestSamplePoint = z.infer<typeof guestSamplePoint>;
