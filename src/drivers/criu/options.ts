import { z } from 'zod';

const path = z.string().min(1).max(4096);

/** `drivers.criu` of a host's configuration; the host looks for containers where it is there. */
export const criuOptions = z.strictObject({
  /** Where the programs runc and criu are; default: those that setup has brought, else those on the PATH. */
  programs: path.optional(),
  /** runc's own directory of states (`runc --root`). */
  root: path.default('/run/runc'),
  /** Directories whose subdirectories are layers of images; found by what they hold. */
  layerDirs: z.array(path).max(64).default(['/var/lib/godwit/layers']),
  /** The process in whose mount namespace the containers are, where that is not the agent's own. */
  mountsOf: z.number().int().positive().optional(),
});
export type CriuOptions = z.infer<typeof criuOptions>;
