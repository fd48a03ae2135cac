import type { BackingFile } from '../../protocol/peer/backing-file.ts';
import type { Disk, ImagePlace } from '../../protocol/disk.ts';

/** What becomes of an image that nobody writes to: it is there already, or it is sent once. */
export type BackingFileFate =
  /** Both hosts see it. */
  | { readonly node: string; readonly how: 'shared'; readonly place: ImagePlace }
  /** The destination has a file with the same content. */
  | { readonly node: string; readonly how: 'found'; readonly place: ImagePlace }
  | { readonly node: string; readonly how: 'sent'; readonly backing: BackingFile }
  /** It is the same file as the one that is sent for another node. */
  | { readonly node: string; readonly how: 'same'; readonly as: string }
  /** Nothing is known of it, so the guest cannot move. */
  | { readonly node: string; readonly how: 'unknown' };

/** What is known of where images lie. */
export interface BackingFileFacts {
  /** Places at the destination of images that both hosts see. */
  readonly shared: readonly ImagePlace[];
  /** What lies on the source's own storage. */
  readonly backingFiles: readonly BackingFile[];
  /** Places at the destination of files that hold the same. */
  readonly found: readonly ImagePlace[];
}

/** Decides for each image that the guest does not write to, in the order in which they are to be sent. Pure. */
export function planBackingFiles(
  disks: readonly Disk[],
  facts: BackingFileFacts,
): BackingFileFate[] {
  const fates = new Map<string, BackingFileFate>();
  const sent = new Map<string, string>();
  for (const { images } of disks) {
    // The lowest first: an image is of no use without what lies below it.
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
