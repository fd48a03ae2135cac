import { z } from 'zod';

/** How a guest's hypervisor ended, as it reported before. */
export const END_KINDS = ['shut-down', 'panicked', 'ordered', 'signalled', 'crashed'] as const;
export type EndKind = (typeof END_KINDS)[number];
/** An unknown kind of a newer build counts as an order. */
export const endKind = z.enum(END_KINDS).catch('ordered');

export function withEnd({ ended }: { readonly ended?: EndKind | undefined }): { ended?: EndKind } {
  return ended === undefined ? {} : { ended };
}
