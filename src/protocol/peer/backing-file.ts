import { z } from 'zod';
import { place } from '../disk.ts';
import { bytes } from '../names.ts';

/**
 * Backing files on a host's own storage. They do not change while the guest has them, so they are identified by
 * content, and one that the other host already has is not sent.
 */

export const sha256 = z
  .string()
  .max(64)
  .regex(/^[0-9a-f]{64}$/);

export const backingFile = z.object({
  ...place.shape,
  /** File size, holes included. */
  bytes,
  sha256,
});
export type BackingFile = z.infer<typeof backingFile>;
