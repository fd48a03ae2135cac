import { z } from 'zod';
import { guestName, moment, ms } from '../../names.ts';
import { route } from '../../route.ts';
import { LOOKING } from '../../route-errors.ts';
import { MAX_BYTES_PER_S } from './load.ts';

/** Kept hours: a week. */
export const MAX_LOAD_HOURS = 7 * 24;

const perS = z.number().nonnegative().max(MAX_BYTES_PER_S);

/** A guest's use; unknown values are absent. */
export const guestRates = z.object({
  /** Processors: 1.5 for two busy vCPUs that waited a quarter of the time. */
  cores: z.number().nonnegative().max(1_000_000),
  readBytesPerS: perS.optional(),
  writtenBytesPerS: perS.optional(),
  inBytesPerS: perS.optional(),
  outBytesPerS: perS.optional(),
});
export type GuestRates = z.infer<typeof guestRates>;

/** Mean of an hour, over the observed part. */
export const loadHour = guestRates.extend({
  /** A full hour of UTC. */
  from: moment,
  overMs: ms,
  /** Mean dirty rate of the measurements in this hour; absent without one. */
  dirtyBytesPerS: perS.optional(),
  dirtyLooks: z.number().int().min(1).max(1_000_000).optional(),
});
export type LoadHour = z.infer<typeof loadHour>;

export const guestLoad = z.object({
  /** Over the minute before `at`; absent before the first full minute. */
  now: guestRates.extend({ at: moment, overMs: ms }).optional(),
  /** Of hours observed for ten minutes or more; absent if there is none. */
  busiest: loadHour.optional(),
  quietest: loadHour.optional(),
  /** Oldest first; the last one may be incomplete. */
  hours: z.array(loadHour).max(MAX_LOAD_HOURS),
});
export type GuestLoad = z.infer<typeof guestLoad>;

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
