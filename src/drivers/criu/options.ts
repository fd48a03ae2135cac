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

/** Host configuration `drivers.criu`; its presence enables containers. */
export const criuOptions = z.strictObject({
  /** Folder of the programs runc and criu; default: the ones from setup, otherwise the PATH. */
  programs: place.optional(),
  root: place.default('/run/runc'),
  /** Socket of podman's service. Its containers are listed but do not move. */
  podman: place.optional(),
  /** Other users' state directories of runc and crun. Their containers are listed but do not move. */
  otherRoots: z
    .array(directory)
    .max(16)
    .default([
      '/run/docker/runtime-runc',
      '/run/docker/runtime-crun',
      '/run/containerd/runc',
      '/run/crun',
    ]),
  /** Directories whose subdirectories are image layers, found by content. */
  layerDirs: z.array(place).max(64).default(['/var/lib/godwit/layers']),
  /** Directories of volumes, whose contents move with a container. */
  volumeDirs: z.array(directory).max(64).default(['/var/lib/godwit/volumes']),
  /**
   * Directories with the same content on other hosts, such as the GPU driver's; containers may mount read-only
   * paths from them.
   */
  hostDirs: z.array(directory).max(16).default([]),
  gpuLibrary: place.default('libcuda.so.1'),
  postcopy: z.boolean().default(true),
  /** Limit of kept memory of containers that have left, which need not be sent again when they return. */
  keptBytes: z
    .number()
    .int()
    .nonnegative()
    .max(64 * GIB)
    .default(4 * GIB),
  /** A process in the containers' mount namespace, if it is not the agent's. */
  mountsOf: z.number().int().positive().optional(),
});
export type CriuOptions = z.infer<typeof criuOptions>;

export const POSTCOPY_OFF = '`drivers.criu.postcopy` of its host refuses it';
