import path from 'node:path';
import type { AgentConfig } from '../../config.ts';
import { findOverlays } from '../../disks/backing/overlays.ts';
import { openDevicePools } from '../../disks/proof/devices.ts';
import { openPools } from '../../disks/proof/pools.ts';
import { godwitError } from '../../errors.ts';

export interface OpenedImages {
  readonly guest: string;
  readonly written: readonly { readonly name: string; readonly file: string }[];
  /** All of its images; their directories are searched completely. */
  readonly files: readonly string[];
}

/**
 * Throws GODWIT_DISK_OVERLAID if another image is based on an image that the guest would write to. After a snapshot,
 * the guest's newest data is in that other image, and writes below ruin it.
 */
export async function refuseOverlaid(
  { name: host, storage }: Pick<AgentConfig, 'name' | 'storage'>,
  { guest, written, files }: OpenedImages,
  signal: AbortSignal,
): Promise<void> {
  if (written.length === 0) return;
  const pools = [...(await openPools(storage)), ...(await openDevicePools(storage))];
  const { overlays, unread } = await findOverlays(
    {
      images: written.map(({ file }) => file),
      directories: files.filter((file) => file.startsWith('/')).map((file) => path.dirname(file)),
      roots: pools.map(({ root }) => root),
    },
    signal,
  );
  const facts = { host, guest };
  const [found] = overlays;
  if (found !== undefined) {
    const { image, overlay } = found;
    const device = written.find(({ file }) => file === image)?.name ?? image;
    const reason = `${overlay} names ${image} as its backing file`;
    throw godwitError('GODWIT_DISK_OVERLAID', { ...facts, device, reason });
  }
  if (unread === undefined) return;
  const device = written[0]?.name ?? '';
  const reason = `whether another image needs it cannot be found out: ${unread}`;
  throw godwitError('GODWIT_DISK_OVERLAID', { ...facts, device, reason });
}
