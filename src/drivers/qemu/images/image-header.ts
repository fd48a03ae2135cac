import { closeSync, constants, readSync, realpathSync, type Stats } from 'node:fs';
import { openFound } from '../../../system/files/checked-open.ts';

/**
 * Files that an image's header makes QEMU open. The destination always sets the backing file, so that QEMU does
 * not follow the header. For an external data file, QEMU would open any path in the header.
 */

/** Up to the end of the incompatible features (docs/interop/qcow2.txt of QEMU). */
export const HEADER_BYTES = 80;
const MAGIC = 0x51_46_49_fb;
const INCOMPATIBLE_AT = 72;
const EXTERNAL_DATA_FILE = 1n << 2n;

/** Reason why QEMU would open another file for an image with this header; undefined if it would not. Pure. */
export function linkOfHeader(header: Buffer): string | undefined {
  if (header.length < HEADER_BYTES || header.readUInt32BE(0) !== MAGIC) return undefined;
  if (header.readUInt32BE(4) < 3) return undefined;
  const features = header.readBigUInt64BE(INCOMPATIBLE_AT);
  if ((features & EXTERNAL_DATA_FILE) === 0n) return undefined;
  return 'its header names a file of its own for its data';
}

function isImage(found: Stats): string | undefined {
  return found.isFile() || found.isBlockDevice() ? undefined : 'neither a file nor a block device';
}

/**
 * Same for a file or block device of this host. Follows links, as QEMU does: LVM volume names are links. Throws
 * if it cannot be read.
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

/** Returns the link itself if it is broken; that is not an image. */
function followed(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}
