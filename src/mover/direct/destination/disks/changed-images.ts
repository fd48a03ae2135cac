import { open } from 'node:fs/promises';
import {
  changedImage,
  type FoundStamp,
  type ImageStamp,
} from '../../../../migration/standby/image-stamps.ts';
import type { Preparation } from '../../../../protocol/peer/migration.ts';
import type { DestinationContext } from '../destination-context.ts';
import { filesToOpen } from './storage.ts';

/**
 * First image below the top of a disk that changed after the guest's host confirmed the description; undefined: none,
 * as far as known. Images on devices and on QEMU's network clients have no stamp. `preparation` has this host's
 * places.
 */
export async function findChanged(
  context: Pick<DestinationContext, 'config' | 'placeIds'>,
  preparation: Preparation | undefined,
  confirmed: readonly ImageStamp[],
): Promise<string | undefined> {
  const { disks = [] } = preparation?.description ?? {};
  const lower = new Set(disks.flatMap(({ images: [, ...below] }) => below.map(({ node }) => node)));
  const asked = confirmed.filter(({ node }) => lower.has(node));
  if (preparation === undefined || asked.length === 0) return undefined;
  const files = await filesToOpen(context, preparation);
  const found = new Map<string, FoundStamp>();
  for (const { node } of asked) {
    const stamp = await stampOf(files.get(node) ?? '');
    if (stamp !== undefined) found.set(node, stamp);
  }
  const changed = changedImage(asked, found);
  return changed === undefined ? undefined : files.get(changed);
}

/** Opens the file, because NFS refreshes attributes on open. */
async function stampOf(file: string): Promise<FoundStamp | undefined> {
  if (!file.startsWith('/')) return undefined;
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const info = await handle.stat({ bigint: true });
    if (!info.isFile()) return undefined;
    return { bytes: Number(info.size), writtenNs: String(info.mtimeNs) };
  } finally {
    await handle.close();
  }
}
