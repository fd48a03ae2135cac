import { z } from 'zod';
import { bytes } from '../names.ts';

/** Guest memory reclaimed before a migration: free pages, or also page cache. */
export const balloonPolicy = z.enum(['free', 'available']);
export type BalloonPolicy = z.infer<typeof balloonPolicy>;

export const ballooned = z.object({
  /** Bytes that the guest gave up, and bytes that stayed free or available. */
  takenBytes: bytes,
  leftBytes: bytes,
});
