import type { Preparation } from '../../../../protocol/peer/migration.ts';
import { refuseOverlaid } from '../../overlaid.ts';
import type { DestinationContext } from '../destination-context.ts';
import { filesToOpen } from './storage.ts';

/**
 * Throws GODWIT_DISK_OVERLAID if another image is based on an image that a recovered guest would write to; its
 * description may be older than a snapshot. `preparation` has this host's places.
 */
export async function refuseOverlaidRecovery(
  context: Pick<DestinationContext, 'config' | 'placeIds'>,
  preparation: Preparation | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (preparation === undefined) return;
  const { name: guest, disks = [] } = preparation.description;
  const files = await filesToOpen(context, preparation);
  const written = disks.flatMap(({ name, images: [top] }) => {
    const file = top === undefined || top.readOnly ? undefined : files.get(top.node);
    return file === undefined ? [] : [{ name, file }];
  });
  await refuseOverlaid(context.config, { guest, written, files: [...files.values()] }, signal);
}
