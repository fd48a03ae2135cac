import { z } from 'zod';
import { bytes, ms } from '../names.ts';

/** One pass over dirty memory, as it stood when it ended. */
export const roundReport = z.object({
  round: z.number().int(),
  atMs: ms,
  transferredBytes: bytes,
  remainingBytes: bytes,
  rate: bytes,
  dirtyRate: bytes,
  throttlePercent: z.number().min(0).max(100).optional(),
});
