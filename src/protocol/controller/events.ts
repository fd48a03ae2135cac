import { z } from 'zod';
import { hostName } from '../names.ts';
import { guestInfo, name64 } from '../public/hosts/host.ts';
import { eventId } from '../public/hosts/host-event.ts';
import { fleetHost } from './fleet.ts';
import { migrationHappened } from './history.ts';
import { fleetRequest } from './fleet-request.ts';

const fleetNews = z.discriminatedUnion('type', [
  /** Start of a stream: lists requested afterwards miss nothing. */
  z.object({ type: z.literal('ready') }),
  /** Events since the given id were lost: read the lists again. */
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
  z.object({
    type: z.literal('conflict'),
    name: guestInfo.shape.name,
    hosts: z.array(hostName).max(64),
  }),
  migrationHappened,
  /** A new or changed request, whichever controller works on it, with the first hundred entries of its lists. */
  z.object({ type: z.literal('request'), request: fleetRequest }),
]);
export type FleetNews = z.infer<typeof fleetNews>;

export const fleetEvent = z.intersection(z.object({ id: eventId }), fleetNews);
