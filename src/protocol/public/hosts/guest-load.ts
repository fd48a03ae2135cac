import { z } from 'zod';
import { guestName, moment, ms } from '../../names.ts';
import { route } from '../../route.ts';
import { LOOKING } from '../../route-errors.ts';
import { MAX_BYTES_PER_S } from './load.ts';

/** How busy a guest has been, as its host saw it from outside. */

/** Hours that are kept of a guest: a week. */
export const MAX_LOAD_HOURS = 7 * 24;

const perS = z.number().nonnegative().max(MAX_BYTES_PER_S);

/** What a guest used; what its host could not see is absent. */
export const guestRates = z.object({
  /** Processors of its host: 1.5 of a guest with two busy vCPUs that waited for a quarter of the time. */
  cores: z.number().nonnegative().max(1_000_000),
  /** What its hypervisor read from storage and wrote to it. */
  readBytesPerS: perS.optional(),
  writtenBytesPerS: perS.optional(),
  /** What came to its NICs and left them. */
  inBytesPerS: perS.optional(),
  outBytesPerS: perS.optional(),
});
export type GuestRates = z.infer<typeof guestRates>;

/** The mean of an hour, as far as it was seen. */
export const loadHour = guestRates.extend({
  /** When the hour began; a full hour of UTC. */
  from: moment,
  /** For how long of it the guest was seen. */
  overMs: ms,
  /** What the guest wrote to its memory, the mean of the looks at that in this hour; absent where there was none. */
  dirtyBytesPerS: perS.optional(),
  dirtyLooks: z.number().int().min(1).max(1_000_000).optional(),
});
export type LoadHour = z.infer<typeof loadHour>;

export const guestLoad = z.object({
  /** Over the minute before `at`; absent until it was seen for one. */
  now: guestRates.extend({ at: moment, overMs: ms }).optional(),
  /** Of the hours in which it was seen for ten minutes or more; absent where there is none. */
  busiest: loadHour.optional(),
  quietest: loadHour.optional(),
  /** Oldest first; the last one may go on. */
  hours: z.array(loadHour).max(MAX_LOAD_HOURS),
});
export type GuestLoad = z.infer<typeof guestLoad>;

/** At the agent of the guest's host. */
export const guestLoadRoutes = {
  guestLoad: route({
    method: 'GET',
    path: '/v1/guests/:guest/load',
    summary: 'How busy a guest is, and was in each hour of the last week on this host',
    access: 'viewer',
    params: z.object({ guest: guestName }),
    response: guestLoad,
    errors: [...LOOKING, 'GODWIT_GUEST_UNKNOWN'],
  }),
};
