import { z } from 'zod';
import { hostName, migrationId, moment } from '../names.ts';
import { guestRunState, name64, runsAt } from '../public/hosts/host.ts';
import { lineage } from './migration.ts';

/** Copies and migrations of one guest that a host reports; the newest. */
export const MAX_SEEN = 64;

export const sightingQuery = z.object({ id: migrationId, uuid: name64.optional() });
export type SightingQuery = z.infer<typeof sightingQuery>;

/** What a host has seen of a guest, besides the migration that is asked about. */
export const sighting = z.object({
  host: hostName,
  /** Since when its state is what it is: of what was before it may have forgotten anything. */
  storeSince: moment.optional(),
  /** Hypervisors there of that name or UUID, except the hypervisor of that migration. */
  copies: z.array(z.object({ uuid: name64.optional(), state: guestRunState })).max(MAX_SEEN),
  /** Other migrations of a guest of that name. */
  moves: z
    .array(
      z.object({
        id: migrationId,
        side: z.enum(['source', 'destination']),
        from: hostName,
        to: hostName,
        createdAt: moment,
        /** Its journal has come to an end; absent: it has not, or an earlier build does not say. */
        ended: z.boolean().optional(),
        /** Where the guest of that migration runs, as this host's journal has it; absent: an earlier build does not say. */
        runsAt: runsAt.optional(),
        /** The migrations by which it had come to `from`. */
        lineage,
      }),
    )
    .max(MAX_SEEN),
});
export type Sighting = z.infer<typeof sighting>;
