import { z } from 'zod';
import { bytes } from '../names.ts';

/** Memory of a guest that is taken out of the way of its migration: pages that are free, or also page cache. */
export const balloonPolicy = z.enum(['free', 'available']);
export type BalloonPolicy = z.infer<typeof balloonPolicy>;

/** What it came to. */
export const ballooned = z.object({
  /** What the guest gave up for the move, and what was left to it as free or available, bytes. */
  takenBytes: bytes,
  leftBytes: bytes,
});
