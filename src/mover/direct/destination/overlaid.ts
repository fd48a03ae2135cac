import path from 'node:path';
import { findOverlays } from '../../../disks/backing/overlays.ts';
import { openDevicePools } from '../../../disks/proof/devices.ts';
import { openPools } from '../../../disks/proof/pools.ts';
import { godwitError } from '../../../errors.ts';
import type { Preparation } from '../../../protocol/peer/migration.ts';
import type { DestinationContext } from './destination-context.ts';
import { filesToOpen } from './storage.ts';

/**
 * Throws GODWIT_DISK_OVERLAID if another image names, as its backing file, an image that the guest would write to. A recovered
 * guest is described by what its host reported last: after a snapshot that the report lacks, the guest's newest data is in
 * the other image, and a write to this one ruins it. `preparation` has this host's own places.
 */
export async function refuseOverlaid(
  context: Pick<DestinationContext, 'config' | 'placeIds'>,
  preparation: Preparation | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (preparation === undefined) return;
  const { config } = context;
  const { name: guest, disks = [] } = preparation.description;
  const files = await filesToOpen(context, preparation);
  const written = disks.flatMap(({ name, images: [top] }) => {
    const file = top === undefined || top.readOnly ? undefined : files.get(top.node);
    return file === undefined ? [] : [{ name, file }];
  });
  if (written.length === 0) return;
  const pools = [...(await openPools(config.storage)), ...(await openDevicePools(config.storage))];
  const { overlays, unread } = await findOverlays(
    {
      images: written.map(({ file }) => file),
      directories: [...files.values()]
        .filter((file) => file.startsWith('/'))
        .map((file) => path.dirname(file)),
      roots: pools.map(({ root }) => root),
    },
    signal,
  );
  const facts = { host: config.name, guest };
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
