import { z } from 'zod';

/** How a guest's hypervisor came to end, as it reported before. */
export const END_KINDS = ['shut-down', 'panicked', 'ordered', 'signalled', 'crashed'] as const;
export type EndKind = (typeof END_KINDS)[number];
/** A kind of a newer build is read as an order. */
export const endKind = z.enum(END_KINDS).catch('ordered');

/** The same as an optional member. */
export function withEnd({ ended }: { readonly ended?: EndKind | undefined }): { ended?: EndKind } {
  return ended === undefined ? {} : { ended };
}
