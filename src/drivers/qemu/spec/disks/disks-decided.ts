import path from 'node:path';
import type { Disk } from '../../../../protocol/disk.ts';
import type { BlockNode } from './disk-schema.ts';

const NONE: ReadonlySet<string> = new Set();

/** What this host has found out: block nodes by their content, and paths that are block devices. */
export interface HostDiskFacts {
  readonly known?: ReadonlySet<string>;
  readonly devices?: ReadonlySet<string>;
}

/**
 * A peer's block nodes with what this host alone decides. Written to is what a disk of the description is on, unless the
 * disk is read-only; no image below it is, and none of `known`, which were found by their content. An image is locked unless
 * it lies in one of `unlocked`, the directories of this host whose storage has no locks. `files` is the path here of each
 * image, `devices` those of them that are block devices. Pure.
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
