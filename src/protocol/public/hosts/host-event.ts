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

const hostNews = z.discriminatedUnion('type', [
  /** Start of a stream: lists requested afterwards miss nothing. */
  z.object({ type: z.literal('ready') }),
  /** Events since the given id were lost: read the lists again. */
  z.object({ type: z.literal('lost') }),
  z.object({ type: z.literal('guest'), guest: guestInfo }),
  /** `left`: it moved to another host; the report is valid until that host reports it. Absent in earlier builds. */
  z.object({ type: z.literal('guest-gone'), name: guestName, left: guestInfo.optional() }),
  z.object({ type: z.literal('migration'), migration: progress }),
  /** The host's load, every 10 s, on request. */
  z.object({ type: z.literal('load'), load: hostLoad }),
  z.object({ type: z.literal('managed-host'), host: managedHost }),
  z.object({ type: z.literal('managed-host-gone'), name: hostName }),
  /** The manager answers again or fell silent; reports of its hosts and guests are then old. */
  z.object({
    type: z.literal('manager'),
    state: z.enum(['up', 'silent']),
    reason: shortText.optional(),
  }),
]);
export type HostNews = z.infer<typeof hostNews>;

export const hostEvent = z.intersection(z.object({ id: eventId }), hostNews);
export type HostEvent = z.infer<typeof hostEvent>;
