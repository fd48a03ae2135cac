import path from 'node:path';
import type { Disk } from '../../../protocol/disk.ts';
import type { BlockNode } from './disk-schema.ts';

/**
 * A peer's block nodes with what this host alone decides. Written to is what a disk of the description is on, unless the
 * disk is read-only; no image below it is, and none of `known`, which were found by their content. An image is locked unless it lies in one of `unlocked`, the directories of this
 * host whose storage has no locks. `files` is the path here of each image. Pure.
 */
export function decideNodes(
  nodes: readonly BlockNode[],
  disks: readonly Disk[],
  files: ReadonlyMap<string, string>,
  unlocked: readonly string[],
  known: ReadonlySet<string> = new Set(),
): BlockNode[] {
  const written = new Set<string>(
    disks.flatMap(({ images: [top] }) => (top === undefined || top.readOnly ? [] : [top.node])),
  );
  return nodes.map((each) => {
    const file = files.get(each.node) ?? '';
    const isUnlocked = unlocked.some((directory) => file.startsWith(`${directory}${path.sep}`));
    return {
      ...each,
      readOnly: !written.has(each.node) || known.has(each.node),
      locking: isUnlocked ? 'off' : 'auto',
    };
  });
}
