import { z } from 'zod';
import { ms } from '../names.ts';

export const rehearsal = z.object({
  /** The switch that would have followed; absent if it was not reached. */
  switches: z.enum(['precopy', 'postcopy']).optional(),
  /** Expected pause by the remaining memory and the link's rate. */
  expectedDowntimeMs: ms.optional(),
  maxDowntimeMs: ms,
  /** Pause at the source until the rehearsal was undone; absent: none. */
  stoodStillMs: ms.optional(),
});
export type Rehearsal = z.infer<typeof rehearsal>;
