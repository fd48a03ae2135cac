import { z } from 'zod';

/** Reasons why a guest is stopped other than for its move: by its owner, by itself, or by a fault. */
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
  /** An unknown kind of a newer build counts as the mildest one. */
  kind: z.enum(HALT_KINDS).catch('paused'),
  what: z.string().max(512).optional(),
});
export type Halt = z.infer<typeof halt>;

export function withHalt({ halted }: { readonly halted?: Halt | undefined }): { halted?: Halt } {
  return halted === undefined ? {} : { halted };
}
