import { z } from 'zod';

/**
 * A guest at one moment, as parts that two moments can be compared by. Its driver reads it: quickly, since the second
 * one is read while the guest is stopped. Pure.
 */

/** A guest of 2048 devices has about four parts for each. */
export const MAX_PARTS = 16_384;
const MAX_NAME = 256;
/** Longer values end in a digest of the whole; a driver makes them with `digestValue`. */
const MAX_VALUE = 512;

export const PART_KINDS = [
  /** The images of a disk, from the top one down to the last backing file, with the options of each. */
  'disk',
  /** The same for a drive whose medium can be changed; absent while it is empty. */
  'medium',
  /** Bytes, as the guest sees the disk. */
  'size',
  /** The limits of a disk's throughput. */
  'limits',
  /** A dirty bitmap of a disk: `kept` in the image, or in `memory` alone, with its settings. */
  'bitmap',
  /** A snapshot that is kept inside an image of a disk. */
  'snapshot',
  'device',
  /** What a device is connected to at the host: a network backend or a character device. */
  'backend',
  'object',
  /** Work on the disks by another program: a backup, a mirror, a commit. */
  'job',
  /** A disk that another program reads from the hypervisor. */
  'export',
  /** The port of a NIC at its host: its bridge, and the settings that its owner made there. */
  'port',
  'processors',
  'memory',
] as const;
export type PartKind = (typeof PART_KINDS)[number];

export const guestPart = z.object({
  /** One of PART_KINDS; a newer build may write others, which are compared as a device is. */
  kind: z.string().max(32),
  name: z.string().max(MAX_NAME),
  value: z.string().max(MAX_VALUE),
});
export type GuestPart = z.infer<typeof guestPart>;

export const guestSnapshot = z.object({ parts: z.array(guestPart).max(MAX_PARTS) });
export type GuestSnapshot = z.infer<typeof guestSnapshot>;

/** A part whose texts fit; `digest` of a longer value tells two of them apart. */
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
