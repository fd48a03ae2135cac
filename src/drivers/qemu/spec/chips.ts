import type { DiskImage } from '../../../protocol/disk.ts';
import type { Finding } from './findings.ts';
import { flashName } from './flash.ts';
import type { FlashSpec } from './schema.ts';

/** A chip of the machine's firmware; of one whose content is to be known, the file here. */
export type Chip = FlashSpec & { readonly file?: string };

/**
 * A chip on its image: what the guest writes to is a disk, and firmware's code, which it only reads, is known by its
 * content. `name`: of the uppermost node. Undefined of what cannot move, with the reason. Pure.
 */
export function chipOf(
  unit: number,
  { name, images: [top, ...below] }: { name: string; images: readonly DiskImage[] },
  file: string,
): { readonly chip: Chip; readonly isDisk: boolean } | Finding {
  const node = top?.node ?? name;
  const no = (reason: string): Finding => {
    return { kind: 'disk', device: flashName(unit), type: file, reason };
  };
  if (node !== name) return no('its firmware is behind a filter');
  if (top?.readOnly !== true) return { chip: { unit, node }, isDisk: true };
  if (below.length > 0) return no('firmware on a backing file is not known by its content');
  return { chip: { unit, node, file }, isDisk: false };
}
