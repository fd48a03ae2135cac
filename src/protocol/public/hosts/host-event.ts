import { z } from 'zod';
import { guestName, hostName, shortText } from '../../names.ts';
import { guestInfo } from './host.ts';
import { hostLoad } from './load.ts';
import { managedHost } from './managed-host.ts';
import { progress } from '../migration.ts';

/** A follower resumes by it; opaque. */
export const eventId = z
  .string()
  .max(64)
  .regex(/^[0-9a-z-]{1,64}$/, 'the id of an event');

/** One thing that happened on a host. */
const hostNews = z.discriminatedUnion('type', [
  /** The first of a stream that begins now: lists that are asked for after it miss nothing. */
  z.object({ type: z.literal('ready') }),
  /** What happened since the id that was given is not known any more: ask for the lists again. */
  z.object({ type: z.literal('lost') }),
  /** A guest that is new here, or is another than it was. */
  z.object({ type: z.literal('guest'), guest: guestInfo }),
  /** `left`: it moved to another host; the report holds until that host reports it. Absent from earlier builds. */
  z.object({ type: z.literal('guest-gone'), name: guestName, left: guestInfo.optional() }),
  /** A migration that is in another phase. */
  z.object({ type: z.literal('migration'), migration: progress }),
  /** How busy the host was; one in 10 s, to whoever asks for them. */
  z.object({ type: z.literal('load'), load: hostLoad }),
  /** A host of the manager that this agent speaks to, which is new there, or is another than it was. */
  z.object({ type: z.literal('managed-host'), host: managedHost }),
  z.object({ type: z.literal('managed-host-gone'), name: hostName }),
  /** That manager answers, or does not: what was reported of its hosts and guests is older. */
  z.object({
    type: z.literal('manager'),
    state: z.enum(['up', 'silent']),
    reason: shortText.optional(),
  }),
]);
export type HostNews = z.infer<typeof hostNews>;

export const hostEvent = z.intersection(z.object({ id: eventId }), hostNews);
export type HostEvent = z.infer<typeof hostEvent>;
