import { createHash } from 'node:crypto';
import { parseCommandLine, valuesOf } from '../spec/cmdline.ts';
import { parseBlockdev, type DriveOptions } from '../spec/disks/disk-options.ts';

/** What of a QEMU's disks is offered to another host. Pure. */

const PREFIX = 'godwit-export-';

export function exportId(node: string): string {
  return PREFIX + createHash('sha256').update(node).digest('hex').slice(0, 16);
}

export function isExportId(id: string): boolean {
  return id.startsWith(PREFIX);
}

/** The largest unit in which a file system may take reads and writes without a cache, as QEMU finds it out. */
const UNIT_BYTES = 4096;

/** A size that a file opened without a cache may not have while another host writes to it: its last unit is not whole. */
export function isUneven(bytes: number): boolean {
  return bytes % UNIT_BYTES !== 0;
}

export interface ToReopen {
  /** Nodes of images. */
  readonly nodes: ReadonlySet<string>;
  /** Those of an uneven size. */
  readonly uneven?: ReadonlySet<string>;
}

/**
 * How images among `nodes` are to be opened while they are filled. What is zero at the source is written here as zeroes; a
 * raw image that passes no discard on would allocate them all. A qcow2 image only notes them. The file of an uneven image
 * is written through the page cache meanwhile. Nodes that are opened in that way anyway are left alone.
 */
export function whileFilled(argv: readonly string[], asked: ToReopen): DriveOptions[] {
  return changes(argv, asked).map(({ wanted }) => wanted);
}

/** Those images again as the command line has them. */
export function asGiven(argv: readonly string[], asked: ToReopen): DriveOptions[] {
  return changes(argv, asked).map(({ given }) => given);
}

function changes(
  argv: readonly string[],
  { nodes, uneven = new Set() }: ToReopen,
): { readonly given: DriveOptions; readonly wanted: DriveOptions }[] {
  const all = valuesOf(parseCommandLine(argv), 'blockdev').map(parseBlockdev);
  const images = all.filter(
    ({ 'node-name': name, driver }) =>
      typeof name === 'string' && nodes.has(name) && driver !== 'qcow2',
  );
  // A file comes before the format on it, which is how QEMU takes them.
  return all.flatMap((given) => {
    const own = images.filter(({ file, ...image }) =>
      [file, image['node-name']].includes(given['node-name']),
    );
    const isRaw = own.some(({ driver }) => /^(raw|file|host_device)$/.test(String(driver)));
    const isUneven = own.some(({ 'node-name': name }) => uneven.has(String(name)));
    const unmaps = isRaw && given['discard'] !== 'unmap';
    const caches = isUneven && given['driver'] === 'file' && isDirect(given);
    if (!unmaps && !caches) return [];
    const wanted = {
      ...given,
      ...(unmaps ? { discard: 'unmap' } : {}),
      // Linux's own queue of requests takes none that go through the page cache.
      ...(caches ? { cache: { direct: false, 'no-flush': false }, aio: 'threads' } : {}),
    };
    return [{ given, wanted }];
  });
}

function isDirect({ cache }: DriveOptions): boolean {
  return JSON.stringify(cache ?? {}).includes('"direct":true');
}
