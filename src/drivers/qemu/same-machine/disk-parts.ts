import type { BlockFacts, LiveDisk, LiveNode } from '../spec/disks/disk-facts.ts';
import { belowFilters, limitsOf } from '../spec/disks/disk-filters.ts';
import type { Part } from './machine-parts.ts';

/** Images of a guest's disks as parts, identified by disk and role below it, since node names may change. Pure. */

/** Longest image chain that can move, with the nodes below each image. */
const DEEPEST = 130;

export function diskParts(block: BlockFacts, devices: readonly Part[]): Part[] {
  const { disks, nodes, edges } = block;
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const parts: Part[] = [];
  const add = (place: string, name: string, depth: number): void => {
    const node = byName.get(name);
    if (node === undefined || depth > DEEPEST) return;
    // A drive's own limits become a filter at the destination, so limits are reported for the disk.
    const { image } = belowFilters(name, block);
    if (image !== name) {
      add(place, image, depth + 1);
      return;
    }
    // The file below a format grows with the guest's writes; the guest sees the image's size.
    const size: Record<string, string> = place.endsWith('/file')
      ? {}
      : { bytes: String(node.bytes) };
    parts.push({ kind: 'disk', place, type: node.driver, props: { ...size, ...propsOf(node) } });
    for (const { parent, child, role } of edges) {
      if (parent === name) add(`${place}/${role}`, child, depth + 1);
    }
  };
  for (const disk of disks) {
    const { root, writeCache } = disk;
    if (root === undefined) continue;
    const place = placeOf(disk, devices);
    const limits = Object.entries(limitsOf(disk, block));
    const props = {
      'write-cache': String(writeCache),
      throttled: String(limits.length > 0),
      ...Object.fromEntries(limits.map(([limit, most]) => [`limits.${limit}`, String(most)])),
    };
    parts.push({ kind: 'disk', place, type: 'drive', props });
    add(`${place}/image`, root, 0);
  }
  return parts;
}

function placeOf({ drive, root }: LiveDisk, devices: readonly Part[]): string {
  const names = [drive, root].filter((name) => name !== undefined && name !== '');
  const device = devices.find(({ props }) => names.includes(props['drive']));
  return device?.place ?? `drive ${names[0] ?? ''}`;
}

function propsOf(node: LiveNode): Record<string, string> {
  const { readOnly, direct, noFlush, detectZeroes, encrypted, qcow2 } = node;
  return {
    'read-only': String(readOnly),
    'cache.direct': String(direct),
    'cache.no-flush': String(noFlush),
    'detect-zeroes': detectZeroes,
    encrypted: String(encrypted),
    ...(qcow2 === undefined ? {} : { 'data-file': String(qcow2.dataFile) }),
  };
}
