import { z } from 'zod';
import { bytes, hostName } from '../names.ts';

/** What each host of a migration reports to the other of itself, for the checks that need both. */
export const hostFacts = z.object({
  name: hostName,
  /** Of its build. */
  version: z.string().max(64),
  /** Its clock when it answered, ms since 1970. */
  wallMs: z.number().nonnegative(),
  /** Free where it keeps its journals. */
  journalFreeBytes: bytes.optional(),
  /** When its certificate expires, ms since 1970. */
  certificateEndsMs: z.number().nonnegative().optional(),
  /** The hooks that it would call. */
  hooks: z.array(z.string().max(64)).max(32).optional(),
});
export type HostFacts = z.infer<typeof hostFacts>;
