import { closeSync, constants, readSync, realpathSync, type Stats } from 'node:fs';
import { openFound } from '../../../system/files/checked-open.ts';

/**
 * What an image's own header makes QEMU open. A backing file is always said at the destination, so that QEMU does not
 * follow the header; of a file that holds the data it would take the header's word, whatever path that is.
 */

/** To the end of the features that a reader must know (docs/interop/qcow2.txt of QEMU). */
export const HEADER_BYTES = 80;
const MAGIC = 0x51_46_49_fb;
const INCOMPATIBLE_AT = 72;
const EXTERNAL_DATA_FILE = 1n << 2n;

/** Why QEMU would open another file for an image that starts with these bytes; undefined where it would not. Pure. */
export function linkOfHeader(header: Buffer): string | undefined {
  if (header.length < HEADER_BYTES || header.readUInt32BE(0) !== MAGIC) return undefined;
  // Version 2 has no features.
  if (header.readUInt32BE(4) < 3) return undefined;
  const features = header.readBigUInt64BE(INCOMPATIBLE_AT);
  if ((features & EXTERNAL_DATA_FILE) === 0n) return undefined;
  return 'its header names a file of its own for its data';
}

/** QEMU reads a header of either. */
function isImage(found: Stats): string | undefined {
  return found.isFile() || found.isBlockDevice() ? undefined : 'neither a file nor a block device';
}

/**
 * The same for an image of this host, a file or a block device. A link is followed, as QEMU follows it: the name of each
 * volume of LVM is one. Throws where it cannot be read.
 */
export function linkOfImage(file: string): string | undefined {
  const fd = openFound(followed(file), constants.O_RDONLY | constants.O_NONBLOCK, isImage);
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    const read = readSync(fd, header, 0, HEADER_BYTES, 0);
    return linkOfHeader(header.subarray(0, read));
  } finally {
    closeSync(fd);
  }
}

/** Where a link leads nowhere, itself: it is no image. */
function followed(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}
