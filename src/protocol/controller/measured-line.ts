import { z } from 'zod';
import { bytes, hostName } from '../names.ts';

/** The line between two sites, by those hosts’ measurements: of three the one in the middle, else the most careful. */
export const measuredLine = z.object({
  bytesPerS: bytes,
  roundTripMs: z.number().nonnegative(),
  by: z.array(hostName).min(1).max(3),
});
export type MeasuredLine = z.infer<typeof measuredLine>;
