import { z } from 'zod';

/**
 * A guest at one moment, in comparable parts. Drivers must read it fast, because the second snapshot is taken while
 * the guest is stopped. Pure.
 */

/** A guest of 2048 devices has about four parts per device. */
export const MAX_PARTS = 16_384;
const MAX_NAME = 256;
/** Longer values end in a digest of the whole (`digestValue`). */
const MAX_VALUE = 512;

export const PART_KINDS = [
  /** Images of a disk from the top to the last backing file, with options. */
  'disk',
  /** Same for a drive with removable media; absent while it is empty. */
  'medium',
  /** Size of the disk in the guest, bytes. */
  'size',
  'limits',
  /** Dirty bitmap of a disk with its settings: `kept` in the image, or in `memory` only. */
  'bitmap',
  'snapshot',
  'device',
  /** Host side of a device: a network backend or a character device. */
  'backend',
  'object',
  /** Block job of another program: a backup, a mirror, a commit. */
  'job',
  'export',
  /** Port of a NIC at its host: bridge, and the owner's settings. */
  'port',
  'processors',
  'memory',
] as const;
export type PartKind = (typeof PART_KINDS)[number];

export const guestPart = z.object({
  /** One of PART_KINDS. A newer build may write other kinds, which are compared like a device. */
  kind: z.string().max(32),
  name: z.string().max(MAX_NAME),
  value: z.string().max(MAX_VALUE),
});
export type GuestPart = z.infer<typeof guestPart>;

export const guestSnapshot = z.object({ parts: z.array(guestPart).max(MAX_PARTS) });
export type GuestSnapshot = z.infer<typeof guestSnapshot>;

/** Truncates long texts; `digest` keeps long values distinct. */
export function guestPartOf(
  kind: PartKind,
  name: string,
  value: string,
  digest: (text: string) => string,
): GuestPart {
  const fit = (text: string, most: number): string =>
    text.length <= most ? text : `${text.slice(0, most - 40)}… (${digest(text).slice(0, 32)})`;
  return { kind, name: fit(name, MAX_NAME), value: fit(value, MAX_VALUE) };
}
