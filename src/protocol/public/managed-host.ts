import { z } from 'zod';
import { bytes, hostName, shortText } from '../names.ts';
import { cores, name64 } from './host.ts';

/** A host of a manager. It has no agent of its own: whoever speaks to the manager speaks for it. */
export const managedHost = z.object({
  name: hostName,
  /** Guests move between hosts of one realm alone. */
  realm: name64,
  /** `silent`: its manager does not reach it; nothing is guessed of its guests. */
  state: z.enum(['up', 'silent']),
  reason: shortText.optional(),
  /** Why no guest may come there now, as its manager says. */
  closed: shortText.optional(),
  version: name64.optional(),
  cores: cores.optional(),
  memoryBytes: bytes.optional(),
  memoryAvailableBytes: bytes.optional(),
});
export type ManagedHost = z.infer<typeof managedHost>;
