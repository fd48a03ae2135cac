import { z } from 'zod';
import { address, bytes, hostName, moment, shortText, siteName } from '../names.ts';
import { labels } from '../labels.ts';
import { requestId } from '../public/order.ts';
import { guestInfo, hostInfo, name64 } from '../public/hosts/host.ts';
import { hostLoad } from '../public/hosts/load.ts';

/**
 * `up`: its agent is followed. `silent`: it is not heard of; nothing is guessed of its guests. `untrusted`, `incompatible`:
 * who answers there is not taken for it, or speaks another version. `new`: nobody reached it yet. `unfollowed`: the
 * controller that followed it is gone, and no other one has reached it yet. `asleep`: the site's program put it to sleep, and
 * it has not been heard of since.
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

/** A host as the controllers know it. */
export const fleetHost = z.object({
  name: hostName,
  address,
  /** Where it stands, as its agent said last. */
  site: siteName.optional(),
  /** The manager that speaks for it; absent: it has an agent. Guests of such a host move by their manager alone. */
  manager: hostName.optional(),
  /** Why no guest may come there now, as that manager says. */
  closedByManager: shortText.optional(),
  state: hostState,
  /** Since when it is in that state; of one that is silent, when it was heard of last; of one that is woken, since when. */
  since: moment,
  reason: shortText.optional(),
  /** Its agent sends more than a controller takes from one host: the rest waits, or is left out. */
  excess: z.object({ since: moment, words: shortText }).optional(),
  /** The controller that follows it. */
  followedBy: hostName.optional(),
  version: name64.optional(),
  cores: z.number().int().optional(),
  memoryBytes: bytes.optional(),
  /** Within a hundredth of all its memory. */
  memoryAvailableBytes: bytes.optional(),
  guests: z.number().int(),
  /** The newest sample, where the controller that is asked follows it. */
  load: hostLoad.omit({ guests: true }).optional(),
});
export type FleetHost = z.infer<typeof fleetHost>;

/** A host as lists report it. Events of hosts lack these further fields. */
export const listedHost = fleetHost.extend({
  /** No guest comes to it since then: that request drained it, and nobody has opened it again. */
  closed: z.object({ since: moment, request: requestId }).optional(),
  /** What a person noted of it: nothing moves there meanwhile. */
  maintenance: z.string().max(1000).optional(),
  /** The host is ill: its hardware reports it or a person noted it. `request`: the drain that the health policy requested. */
  ill: z.object({ since: moment, words: shortText, request: requestId.optional() }).optional(),
});
export type ListedHost = z.infer<typeof listedHost>;

/** One host with all that it said of itself last. */
export const fleetHostDetail = listedHost.extend({ info: hostInfo.optional() });

/** A guest by the newest report of it. While it moves, both of its hosts report it: it is one row all the same. */
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
  /** What would stop it from moving, in words. Absent: nothing is known to. */
  unmovable: guestInfo.shape.unmovable.unwrap().optional(),
  /** What it uses, by the newest sample of its host; absent if the controller that is asked does not follow that host. */
  load: hostLoad.shape.guests.element.omit({ name: true }).optional(),
  migration: guestInfo.shape.migration,
  /** What its host's state is: while it is not `up`, all of this is what was known before. */
  hostState,
  hostSince: moment,
  /** Further hosts that say they run the very same guest, although it does not move between them. Look at once. */
  alsoClaimedBy: z.array(hostName).max(64).optional(),
  /** Other hosts' reports of it: the copy that its migration builds, an older report, a stopped definition. */
  copies: z
    .array(z.object({ host: hostName, state: guestInfo.shape.state }))
    .max(64)
    .optional(),
});
export type FleetGuest = z.infer<typeof fleetGuest>;

export const fleetGuestDetail = fleetGuest.extend({ info: guestInfo });

const values = z.record(z.string().max(64), z.number());

/** A sample, or what the samples of a minute or an hour came to. */
export const samplePoint = z.object({
  /** When it came, or the beginning of that time; by the controller's clock. */
  at: moment,
  samples: z.number().int(),
  mean: values,
  /** Of a single sample: left out. */
  most: values.optional(),
});
export type SamplePoint = z.infer<typeof samplePoint>;

/** The mean of the cores that a guest used in the time that begins at `at`. */
export const guestSamplePoint = z.object({ at: moment, cores: z.number().nonnegative() });
export type GuestSamplePoint = z.infer<typeof guestSamplePoint>;
