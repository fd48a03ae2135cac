import { createHash } from 'node:crypto';
import { parseCommandLine, valuesOf } from './spec/cmdline.ts';
import { parseBlockdev } from './spec/disk-options.ts';
import type { Given } from './spec/disk-options.ts';

/** What of a QEMU's disks is offered to another host. Pure. */

const PREFIX = 'godwit-export-';

export function exportId(node: string): string {
  return PREFIX + createHash('sha256').update(node).digest('hex').slice(0, 16);
}

export function isExportId(id: string): boolean {
  return id.startsWith(PREFIX);
}

/**
 * How raw images among `nodes` are to be opened while they are filled (`unmap`), and again as the command line has it.
 * What is zero at the source is written here as zeroes; a raw image that passes no discard on would allocate them all.
 * A qcow2 image only notes them. Nodes that are opened with `unmap` anyway are left alone.
 */
export function reopenings(
  argv: readonly string[],
  nodes: ReadonlySet<string>,
  how: 'unmap' | 'as-given',
): Given[] {
  const given = valuesOf(parseCommandLine(argv), 'blockdev').map(parseBlockdev);
  const raw = given.filter(({ 'node-name': name, driver }) => {
    return (
      typeof name === 'string' && nodes.has(name) && /^(raw|file|host_device)$/.test(String(driver))
    );
  });
  const files = new Set(raw.map(({ file }) => file));
  // A file comes before the format on it, which is how QEMU takes them.
  const both = given.filter((each) => raw.includes(each) || files.has(each['node-name']));
  return both
    .filter(({ discard }) => discard !== 'unmap')
    .map((each): Given => (how === 'unmap' ? { ...each, discard: 'unmap' } : each));
}
