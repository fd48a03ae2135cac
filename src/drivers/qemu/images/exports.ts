import { createHash } from 'node:crypto';
import { parseCommandLine, valuesOf } from '../spec/cmdline.ts';
import { parseBlockdev, type DriveOptions } from '../spec/disks/disk-options.ts';

const PREFIX = 'godwit-export-';

export function exportId(node: string): string {
  return PREFIX + createHash('sha256').update(node).digest('hex').slice(0, 16);
}

export function isExportId(id: string): boolean {
  return id.startsWith(PREFIX);
}

/** Largest unit of uncached reads and writes that a file system may require, as QEMU detects it. */
const UNIT_BYTES = 4096;

/** An uncached file of such a size cannot be written by another host, because its last unit is incomplete. */
export function isUneven(bytes: number): boolean {
  return bytes % UNIT_BYTES !== 0;
}

export interface ToReopen {
  readonly nodes: ReadonlySet<string>;
  readonly uneven?: ReadonlySet<string>;
}

/**
 * Options of images among `nodes` while they are filled. Zeroes at the source are written here as zeroes: a raw
 * image without discard would allocate them, a qcow2 image only records them. An uneven image uses the page
 * cache. Nodes that already have these options are left out.
 */
export function whileFilled(argv: readonly string[], asked: ToReopen): DriveOptions[] {
  return changes(argv, asked).map(({ wanted }) => wanted);
}

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
  // QEMU requires a file before its format.
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
      // Linux AIO accepts no requests through the page cache.
      ...(caches ? { cache: { direct: false, 'no-flush': false }, aio: 'threads' } : {}),
    };
    return [{ given, wanted }];
  });
}

function isDirect({ cache }: DriveOptions): boolean {
  return JSON.stringify(cache ?? {}).includes('"direct":true');
}
