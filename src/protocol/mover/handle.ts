import { z } from 'zod';

/** What drivers keep in journals and requests. Godwit reads nothing in it: the driver that made it parses it. */

/** JSON of a handle, in characters: a name, and where its hypervisor is. */
const MAX_HANDLE = 16_384;
/** JSON of a launch, in characters: the kernel takes no command line above 2 MiB. */
const MAX_LAUNCH = 2 * 1024 * 1024;

const short = (limit: number) => (value: object) => JSON.stringify(value).length <= limit;

/** Enough to take hold of a guest again later, also from another process. Plain data. */
export interface GuestHandle {
  /** The driver that made it, and alone can read the rest. */
  readonly driver: string;
  /** The guest's. */
  readonly name: string;
}

/** Whatever else the driver put there is kept as it is. */
export const guestHandle: z.ZodType<GuestHandle> = z
  .looseObject({ driver: z.string().min(1).max(32), name: z.string().min(1).max(128) })
  .refine(short(MAX_HANDLE), 'a handle that is too long');

/**
 * How a guest's hypervisor was started, so that its driver can start the same machine anew. Plain data of the driver's own,
 * except for `writes`: the paths of the images that the guest writes to.
 */
export type Launch = Readonly<Record<string, unknown>> & { readonly writes?: unknown };
export const launch: z.ZodType<Launch> = z
  .record(z.string(), z.unknown())
  .refine(short(MAX_LAUNCH), 'a launch that is too long');
