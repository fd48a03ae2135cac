import { z } from 'zod';
import { bytes, hostName } from '../names.ts';

/** The median of three hosts' results, or the lowest of fewer. */
export const measuredLine = z.object({
  bytesPerS: bytes,
  roundTripMs: z.number().nonnegative(),
  by: z.array(hostName).min(1).max(3),
});
export type MeasuredLine = z.infer<typeof measuredLine>;
