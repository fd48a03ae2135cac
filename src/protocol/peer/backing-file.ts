import { z } from 'zod';
import { place } from '../disk.ts';
import { bytes } from '../names.ts';

/**
 * Backing files that lie on one host's own storage. Nobody writes to them while the guest has them, so they are known by
 * what they hold: one that the other host has already is not sent.
 */

export const sha256 = z
  .string()
  .max(64)
  .regex(/^[0-9a-f]{64}$/);

/** A backing file as its host has it: where, and what it holds. */
export const backingFile = z.object({
  ...place.shape,
  /** Of the file, holes included. */
  bytes,
  sha256,
});
export type BackingFile = z.infer<typeof backingFile>;
