import { z } from 'zod';
import { ms } from '../names.ts';

/** What a rehearsal has found out, besides what every report says. */
export const rehearsal = z.object({
  /** How it would have switched; absent where it did not come to that. */
  switches: z.enum(['precopy', 'postcopy']).optional(),
  /** For how long the guest would have been paused, by what remained and the link's rate; absent: not known. */
  expectedDowntimeMs: ms.optional(),
  /** The longest that it was allowed, ms. */
  maxDowntimeMs: ms,
  /** For how long it was paused at the source until the rehearsal turned round; absent: it did not. */
  stoodStillMs: ms.optional(),
});
export type Rehearsal = z.infer<typeof rehearsal>;
