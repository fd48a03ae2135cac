import { z } from 'zod';
import { VOLUME_OPTIONS } from '../files/volume-names.ts';

/** Container's dependencies on its host and GPUs, as sent to the destination. Pure. */

export const absolute = z
  .string()
  .max(1024)
  .regex(/^\/[^\0]*$/, 'an absolute path');
/** NVIDIA's toolkit mounts about sixty driver files. */
export const MAX_HOST_PARTS = 256;
export const GPU_DEVICE = /^nvidia(\d{1,3}|ctl|-uvm|-uvm-tools|-modeset)$/;

/** Host path that a container only reads, by number; the other host has the same below a directory that it names. */
export const hostMount = z
  .strictObject({
    destination: absolute,
    host: z
      .number()
      .int()
      .nonnegative()
      .max(MAX_HOST_PARTS - 1),
    options: z.array(z.enum(VOLUME_OPTIONS)).max(16).optional(),
  })
  .refine(
    ({ options = [] }) => options.includes('ro') && !options.includes('rw'),
    'is only to be read (ro)',
  );
export type HostMount = z.infer<typeof hostMount>;

/** Device of NVIDIA's driver; the other host has it with the same numbers. */
export const gpuDevice = z.strictObject({
  name: z.string().regex(GPU_DEVICE),
  major: z.number().int().nonnegative().max(4095),
  minor: z.number().int().nonnegative().max(1_048_575),
});
export type GpuDevice = z.infer<typeof gpuDevice>;

export const gpuSpec = z.strictObject({
  gpus: z
    .array(z.strictObject({ name: z.string().max(128), uuid: z.string().regex(/^[0-9a-f]{32}$/) }))
    .min(1)
    .max(64),
  driver: z.string().max(32),
  bytes: z.number().int().nonnegative(),
});
export type GpuSpec = z.infer<typeof gpuSpec>;
