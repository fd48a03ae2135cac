import { z } from 'zod';
import { nodeName } from '../disk.ts';
import { bytes } from '../names.ts';
import { epochBody } from './migration.ts';

/** Compares copied images after the move, as they were at the switch, by hashes. */

/** Hashes per call, and bytes per hash. */
export const MAX_HASHES = 256;
export const MAX_PIECES = 4096;
export const CHUNK_BYTES = 1024 ** 2;
export const PIECE_BYTES = 64 * 1024;

/** Empty for zeros. */
const chunkHash = z
  .string()
  .max(32)
  .regex(/^([0-9a-f]{32})?$/);

export const comparison = epochBody.extend({
  node: nodeName,
  unit: z.union([z.literal(CHUNK_BYTES), z.literal(PIECE_BYTES)]),
  from: bytes,
  hashes: z.array(chunkHash).min(1).max(MAX_HASHES),
});
export type Comparison = z.infer<typeof comparison>;

export const compared = z.object({
  differ: z.array(z.number().int().nonnegative().max(MAX_HASHES)).max(MAX_HASHES),
  /** The image is zero from the compared range up to there; absent in earlier builds. */
  zeroUntil: bytes.optional(),
});

/** Asks which pieces the guest has written since the switch. `anew`: includes writes in progress. */
export const rewriting = epochBody.extend({
  node: nodeName,
  anew: z.boolean(),
  pieces: z.array(bytes).min(1).max(MAX_PIECES),
});
export type Rewriting = z.infer<typeof rewriting>;
export const rewritten = z.object({ rewritten: z.array(z.boolean()).max(MAX_PIECES) });
