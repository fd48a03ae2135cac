import { z } from 'zod';
import { guestName, hostName, migrationId } from '../../protocol/names.ts';
import { mode } from '../../protocol/public/migration.ts';

/** What a manager says about the one task of a migration, and about the guest; the same words for every manager. */

/** Cut rather than refused: a record that cannot be read again would end the journal before it. */
const reason = z.string().transform((text) => text.slice(0, 4096));

/** The task of one migration. `none`: the manager knows of none; it never began, or the manager has forgotten it. */
export const taskSight = z.discriminatedUnion('state', [
  z.object({ state: z.literal('none') }),
  z.object({ state: z.literal('running'), percent: z.number().min(0).max(100).optional() }),
  z.object({ state: z.literal('done') }),
  z.object({ state: z.literal('failed'), reason }),
  z.object({ state: z.literal('cancelled') }),
]);
export type TaskSight = z.infer<typeof taskSight>;

/** Where the manager says that the guest is. Of two answers the later one counts: inventories lag behind tasks. */
export const whereabouts = z.object({
  /** `elsewhere`: on a host that has no part in this migration. */
  at: z.enum(['source', 'destination', 'elsewhere', 'unknown']),
  /** A task, whoever started it, moves it now; absent where the manager does not say. */
  busy: z.boolean().optional(),
});
export type Whereabouts = z.infer<typeof whereabouts>;

/** What a manager is asked to do. `id` makes it one task, however often the order arrives. */
export const managedOrder = z.object({
  id: migrationId,
  guest: guestName,
  from: hostName,
  to: hostName,
  mode,
  maxBandwidth: z.number().int().optional(),
});
export type ManagedOrder = z.infer<typeof managedOrder>;
