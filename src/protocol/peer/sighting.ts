import { z } from 'zod';
import { hostName, migrationId, moment } from '../names.ts';
import { guestRunState, name64, runsAt } from '../public/hosts/host.ts';
import { lineage } from './migration.ts';

/** Copies and migrations that a host reports, the newest. */
export const MAX_SEEN = 64;

export const sightingQuery = z.object({ id: migrationId, uuid: name64.optional() });
export type SightingQuery = z.infer<typeof sightingQuery>;

export const sighting = z.object({
  host: hostName,
  /** Since when its records are continuous; it may have lost earlier ones. */
  storeSince: moment.optional(),
  /** Hypervisors of that name or UUID, except the migration's. */
  copies: z.array(z.object({ uuid: name64.optional(), state: guestRunState })).max(MAX_SEEN),
  moves: z
    .array(
      z.object({
        id: migrationId,
        side: z.enum(['source', 'destination']),
        from: hostName,
        to: hostName,
        createdAt: moment,
        /** The migration's journal has ended; absent: it has not, or an earlier build. */
        ended: z.boolean().optional(),
        /** The host where that migration's guest runs by this host's journal; absent in earlier builds. */
        runsAt: runsAt.optional(),
        /** The migrations that had brought it to `from`. */
        lineage,
      }),
    )
    .max(MAX_SEEN),
});
export type Sighting = z.infer<typeof sighting>;
