import { z } from 'zod';

/** Drivers' data in journals and requests, opaque to the rest of Godwit: the driver that made it parses it. */

const MAX_HANDLE = 16_384;
/** Characters of a launch's JSON: the kernel's limit of a command line is 2 MiB. */
const MAX_LAUNCH = 2 * 1024 * 1024;

const short = (limit: number) => (value: object) => JSON.stringify(value).length <= limit;

/** Lets another process attach to a guest later. Plain data. */
export interface GuestHandle {
  readonly driver: string;
  readonly name: string;
}

export const guestHandle: z.ZodType<GuestHandle> = z
  .looseObject({ driver: z.string().min(1).max(32), name: z.string().min(1).max(128) })
  .refine(short(MAX_HANDLE), 'a handle that is too long');

/**
 * How a guest's hypervisor was started, so that its driver can start the same machine again. Opaque except for
 * `writes`: paths of images that the guest writes to.
 */
export type Launch = Readonly<Record<string, unknown>> & { readonly writes?: unknown };
export const launch: z.ZodType<Launch> = z
  .record(z.string(), z.unknown())
  .refine(short(MAX_LAUNCH), 'a launch that is too long');
