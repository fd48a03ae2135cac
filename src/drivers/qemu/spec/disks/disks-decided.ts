import path from 'node:path';
import type { Disk } from '../../../../protocol/disk.ts';
import type { BlockNode } from './disk-schema.ts';

const NONE: ReadonlySet<string> = new Set();

export interface HostDiskFacts {
  readonly known?: ReadonlySet<string>;
  readonly devices?: ReadonlySet<string>;
}

/**
 * Peer's block nodes with this host's decisions. Only an image directly used by a disk is writable, unless the
 * disk is read-only; images below it and `known` images, found by content, are read-only. An image is locked
 * unless it is in one of `unlocked`, directories whose storage has no locks. `files`: each image's path here;
 * `devices`: paths that are block devices. Pure.
 */
export function decideNodes(
  nodes: readonly BlockNode[],
  disks: readonly Disk[],
  files: ReadonlyMap<string, string>,
  unlocked: readonly string[],
  { known = NONE, devices = NONE }: HostDiskFacts = {},
): BlockNode[] {
  const written = new Set<string>(
    disks.flatMap(({ images: [top] }) => (top === undefined || top.readOnly ? [] : [top.node])),
  );
  return nodes.map(({ device: _theirs, ...each }) => {
    const file = files.get(each.node) ?? '';
    const isUnlocked = unlocked.some((directory) => file.startsWith(`${directory}${path.sep}`));
    return {
      ...each,
      ...(devices.has(file) ? { device: true as const } : {}),
      readOnly: !written.has(each.node) || known.has(each.node),
      locking: isUnlocked ? 'off' : 'auto',
    };
  });
}
