import { z } from 'zod';

/** Why a guest is stopped for another reason than its move: its owner's order, the guest's own, or a fault. */
export const HALT_KINDS = [
  'paused',
  'io-error',
  'shut-down',
  'panicked',
  'suspended',
  'debug',
  'watchdog',
  'internal-error',
] as const;
export type HaltKind = (typeof HALT_KINDS)[number];

export const halt = z.object({
  /** A kind of a newer build is read as the mildest one of this. */
  kind: z.enum(HALT_KINDS).catch('paused'),
  /** Details: the disk with the error. */
  what: z.string().max(512).optional(),
});
export type Halt = z.infer<typeof halt>;

/** The same as an optional member. */
export function withHalt({ halted }: { readonly halted?: Halt | undefined }): { halted?: Halt } {
  return halted === undefined ? {} : { halted };
}
