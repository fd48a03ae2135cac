import type { BackingFile } from '../../protocol/peer/backing-file.ts';
import type { Disk, ImagePlace } from '../../protocol/disk.ts';

/** Plan for a read-only image: present already, or sent once. */
export type BackingFileFate =
  | { readonly node: string; readonly how: 'shared'; readonly place: ImagePlace }
  | { readonly node: string; readonly how: 'found'; readonly place: ImagePlace }
  | { readonly node: string; readonly how: 'sent'; readonly backing: BackingFile }
  /** The same file is sent for another node. */
  | { readonly node: string; readonly how: 'same'; readonly as: string }
  /** Unknown image, so the guest cannot move. */
  | { readonly node: string; readonly how: 'unknown' };

export interface BackingFileFacts {
  readonly shared: readonly ImagePlace[];
  readonly backingFiles: readonly BackingFile[];
  readonly found: readonly ImagePlace[];
}

/** Plans each read-only image, in the order of sending. Pure. */
export function planBackingFiles(
  disks: readonly Disk[],
  facts: BackingFileFacts,
): BackingFileFate[] {
  const fates = new Map<string, BackingFileFate>();
  const sent = new Map<string, string>();
  for (const { images } of disks) {
    // Lowest first, because an image needs the images below it.
    for (const { node } of images.filter((image, at) => at > 0 || image.readOnly).toReversed()) {
      if (!fates.has(node)) fates.set(node, fateOf(node, facts, sent));
    }
  }
  return [...fates.values()];
}

function fateOf(
  node: string,
  { shared, backingFiles, found }: BackingFileFacts,
  sent: Map<string, string>,
): BackingFileFate {
  const isIt = (each: { readonly node: string }): boolean => each.node === node;
  const sharedAt = shared.find(isIt);
  if (sharedAt !== undefined) return { node, how: 'shared', place: sharedAt };
  const foundAt = found.find(isIt);
  if (foundAt !== undefined) return { node, how: 'found', place: foundAt };
  const backing = backingFiles.find(isIt);
  if (backing === undefined) return { node, how: 'unknown' };
  const file = `${backing.pool}/${backing.path}`;
  const as = sent.get(file);
  if (as !== undefined) return { node, how: 'same', as };
  sent.set(file, node);
  return { node, how: 'sent', backing };
}
