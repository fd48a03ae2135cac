import path from 'node:path';
import { z } from 'zod';

const GIB = 1024 ** 3;
const place = z.string().min(1).max(4096);
const directory = z
  .string()
  .min(2)
  .max(1000)
  .refine((given) => path.isAbsolute(given), 'an absolute path')
  .transform((given) => path.normalize(given).replace(/\/$/, ''));

/** `drivers.criu` of a host's configuration; the host looks for containers where it is there. */
export const criuOptions = z.strictObject({
  /** Where the programs runc and criu are; default: those that setup has brought, else those on the PATH. */
  programs: place.optional(),
  /** runc's own directory of states (`runc --root`). */
  root: place.default('/run/runc'),
  /** The socket of podman's service, whose containers are listed too; they do not move. */
  podman: place.optional(),
  /** Directories of states of runc and crun that others use; their containers are listed, and do not move. */
  otherRoots: z
    .array(directory)
    .max(16)
    .default([
      '/run/docker/runtime-runc',
      '/run/docker/runtime-crun',
      '/run/containerd/runc',
      '/run/crun',
    ]),
  /** Directories whose subdirectories are layers of images; found by what they hold. */
  layerDirs: z.array(place).max(64).default(['/var/lib/godwit/layers']),
  /** Directories below which volumes of containers lie: those move with a container, by content. */
  volumeDirs: z.array(directory).max(64).default(['/var/lib/godwit/volumes']),
  /**
   * Directories of this host that the other has too, with the same content, such as the GPU driver's: containers mount of
   * them what they only read.
   */
  hostDirs: z.array(directory).max(16).default([]),
  /** The GPU driver's library, by which the state of GPUs moves with a container. */
  gpuLibrary: place.default('libcuda.so.1'),
  /** Whether containers of this host may leave by post-copy. */
  postcopy: z.boolean().default(true),
  /** How much of the memory of containers that have left stays on this host, so that it need not come again with them. */
  keptBytes: z
    .number()
    .int()
    .nonnegative()
    .max(64 * GIB)
    .default(4 * GIB),
  /** The process in whose mount namespace the containers are, where that is not the agent's own. */
  mountsOf: z.number().int().positive().optional(),
});
export type CriuOptions = z.infer<typeof criuOptions>;

export const POSTCOPY_OFF = '`drivers.criu.postcopy` of its host refuses it';
