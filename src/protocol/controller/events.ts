import { z } from 'zod';
import { hostName } from '../names.ts';
import { guestInfo, name64 } from '../public/hosts/host.ts';
import { eventId } from '../public/hosts/host-event.ts';
import { fleetHost } from './fleet.ts';
import { migrationHappened } from './history.ts';
import { fleetRequest } from './fleet-request.ts';

/** One thing that happened on the hosts that a controller follows. */
const fleetNews = z.discriminatedUnion('type', [
  /** The first of a stream that begins now: lists that are asked for after it miss nothing. */
  z.object({ type: z.literal('ready') }),
  /** What happened since the id that was given is not known any more: ask for the lists again. */
  z.object({ type: z.literal('lost') }),
  z.object({ type: z.literal('host'), host: fleetHost }),
  z.object({ type: z.literal('host-gone'), name: hostName }),
  z.object({ type: z.literal('guest'), guest: guestInfo }),
  z.object({
    type: z.literal('guest-gone'),
    host: hostName,
    name: guestInfo.shape.name,
    uuid: name64.optional(),
  }),
  /** Several hosts say that they run the very same guest. */
  z.object({
    type: z.literal('conflict'),
    name: guestInfo.shape.name,
    hosts: z.array(hostName).max(64),
  }),
  migrationHappened,
  /** A request is new or another than it was, whichever controller works on it. Its lists have their first hundred. */
  z.object({ type: z.literal('request'), request: fleetRequest }),
]);
export type FleetNews = z.infer<typeof fleetNews>;

export const fleetEvent = z.intersection(z.object({ id: eventId }), fleetNews);
