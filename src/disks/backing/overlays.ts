import { constants } from 'node:fs';
import { open, readdir, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { isRecord } from '../../formats/json.ts';
import { parseRbd } from '../../protocol/rbd-name.ts';

/**
 * Finds images that are based on another image. A guest that writes to the lower image ruins them; after an external
 * snapshot, the newer data is in the overlay.
 */

/** QEMU's limit for a name in a header. */
const MAX_NAME_BYTES = 1023;
/** Up to the end of QED's fields. */
const HEADER_BYTES = 64;
const QCOW = 0x51_46_49_fb;
const QED = 0x51_45_44_00;
/** Nesting of `json:` names and objects. */
const MAX_DEPTH = 8;

/** Headers read in parallel; a directory may be on a server. */
const AT_ONCE = 16;
/** Maximum number of files in the directories of the guest's images; with more, the search is incomplete. */
const MAX_NEAR = 65_536;
const MAX_FAR = 65_536;
const MAX_FAR_DEPTH = 8;

/** Position of the backing file's name in a header; undefined without one, and for unknown formats. Pure. */
export function backingNameAt(
  header: Buffer,
): { readonly at: number; readonly bytes: number } | undefined {
  if (header.length < HEADER_BYTES) return undefined;
  const magic = header.readUInt32BE(0);
  const found =
    magic === QCOW
      ? { at: Number(header.readBigUInt64BE(8)), bytes: header.readUInt32BE(16) }
      : magic === QED && (header.readBigUInt64LE(16) & 1n) !== 0n
        ? { at: header.readUInt32LE(56), bytes: header.readUInt32LE(60) }
        : { at: 0, bytes: 0 };
  const isName = found.at > 0 && found.bytes > 0 && found.bytes <= MAX_NAME_BYTES;
  return isName && Number.isSafeInteger(found.at) ? found : undefined;
}

/**
 * Possible targets of a backing file's name: absolute paths or paths in `directory`, and RBD images as
 * `rbd:POOL/IMAGE`. Pure.
 */
export function backingPlaces(name: string, directory: string, depth = 0): string[] {
  if (depth > MAX_DEPTH || name === '') return [];
  if (name.startsWith('json:')) {
    try {
      return placesIn(JSON.parse(name.slice('json:'.length)), directory, depth + 1);
    } catch {
      return [];
    }
  }
  const rbd = parseRbd(name);
  if (rbd !== undefined) return [rbdPlace(rbd.pool, rbd.namespace, rbd.image)];
  const file = name.replace(/^(?:file|host_device):/, '');
  // `nfs://server/path` may be an image that this host has mounted; only its name can match.
  const url = /^[a-z][a-z0-9+.-]*:\/\//.test(file);
  return url ? [file] : [path.resolve(directory, file)];
}

function placesIn(given: unknown, directory: string, depth: number): string[] {
  if (depth > MAX_DEPTH || !isRecord(given)) return [];
  const { filename, pool, namespace, image } = given;
  const own = typeof filename === 'string' ? backingPlaces(filename, directory, depth) : [];
  const isRbd = given['driver'] === 'rbd' && typeof pool === 'string' && typeof image === 'string';
  const rbd = isRbd
    ? [rbdPlace(pool, typeof namespace === 'string' ? namespace : undefined, image)]
    : [];
  const below = Object.entries(given).flatMap(([key, value]) =>
    // `file.filename`: QEMU's options without nested objects.
    typeof value === 'string' && key.endsWith('.filename')
      ? backingPlaces(value, directory, depth)
      : placesIn(value, directory, depth + 1),
  );
  return [...own, ...rbd, ...below];
}

const rbdPlace = (pool: string, namespace: string | undefined, image: string): string =>
  `rbd:${[pool, namespace, image].filter((part) => part !== undefined).join('/')}`;

export interface Overlay {
  readonly image: string;
  readonly overlay: string;
}

export interface OverlaySearch {
  readonly images: readonly string[];
  readonly directories: readonly string[];
  /** Directories of the host's storage, searched recursively. */
  readonly roots: readonly string[];
}

/** `unread`: reason why an overlay next to the guest's images may be missed; absent: complete. */
export interface OverlaysFound {
  readonly overlays: readonly Overlay[];
  readonly unread?: string;
}

/**
 * Searches the images' directories completely, then the other storage within limits. Read-only; only rejects with the
 * signal.
 */
export async function findOverlays(
  { images, directories, roots }: OverlaySearch,
  signal: AbortSignal,
): Promise<OverlaysFound> {
  const wanted: {
    readonly image: string;
    readonly ids: readonly string[];
    readonly tail: string;
  }[] = [];
  for (const image of images)
    wanted.push({ image, ids: (await identitiesOf(image)).ids, tail: tailOf(image, roots) });
  const overlays: Overlay[] = [];
  const look = async (overlay: string): Promise<void> => {
    const named = await backingOf(overlay);
    const found = wanted.find(
      ({ image, ids, tail }) =>
        named.some((each) =>
          each.isMissing
            ? each.ids.some((id) => id.endsWith(tail))
            : each.ids.some((id) => ids.includes(id)),
        ) && image !== overlay,
    );
    if (found !== undefined) overlays.push({ image: found.image, overlay });
  };
  const near = new Set([
    ...directories,
    ...images.filter(isPath).map((each) => path.dirname(each)),
  ]);
  let left = MAX_NEAR;
  for (const directory of near) {
    const { files, problem } = await filesIn(directory);
    if (problem !== undefined) return { overlays, unread: problem };
    left -= files.length;
    if (left < 0) return { overlays, unread: `${directory} has more than ${MAX_NEAR} files` };
    await eachOf(files, look, signal);
  }
  await eachOf(await farFiles(roots, near, signal), look, signal);
  return { overlays };
}

/**
 * Path within its storage, because another host may have it at another path: a name that leads nowhere here may mean
 * this image.
 */
function tailOf(image: string, roots: readonly string[]): string {
  const above = roots.filter((root) => image.startsWith(`${root}/`));
  const [root = path.dirname(image)] = above.toSorted((one, other) => other.length - one.length);
  return isPath(image) ? image.slice(root.length) : image;
}

const isPath = (image: string): boolean => image.startsWith('/');

async function eachOf(
  files: readonly string[],
  look: (file: string) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const left = [...files];
  const work = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      signal.throwIfAborted();
      await look(next);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

interface DirectoryListing {
  readonly files: readonly string[];
  readonly directories: readonly string[];
  readonly problem?: string;
}

/** Includes links, because LVM names its volumes by links. */
async function filesIn(directory: string): Promise<DirectoryListing> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    const at = (name: string): string => path.join(directory, name);
    return {
      files: entries
        .filter((each) => each.isFile() || each.isSymbolicLink() || each.isBlockDevice())
        .map(({ name }) => at(name)),
      directories: entries.filter((each) => each.isDirectory()).map(({ name }) => at(name)),
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { files: [], directories: [], problem: `${directory} cannot be listed: ${why}` };
  }
}

async function farFiles(
  roots: readonly string[],
  near: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<string[]> {
  const found: string[] = [];
  const queue = roots.map((directory) => ({ directory, depth: 0 }));
  const seen = new Set<string>();
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { directory, depth } = next;
    signal.throwIfAborted();
    if (seen.has(directory)) continue;
    seen.add(directory);
    const { files, directories } = await filesIn(directory);
    if (!near.has(directory)) found.push(...files);
    if (found.length > MAX_FAR) return found.slice(0, MAX_FAR);
    if (depth < MAX_FAR_DEPTH)
      queue.push(...directories.map((each) => ({ directory: each, depth: depth + 1 })));
  }
  return found;
}

/** Targets of a file's backing name, in each possible reading. */
async function backingOf(file: string): Promise<Identity[]> {
  const name = await nameIn(file).catch(() => undefined);
  if (name === undefined) return [];
  return Promise.all(backingPlaces(name, path.dirname(file)).map(identitiesOf));
}

async function nameIn(file: string): Promise<string | undefined> {
  const info = await stat(file);
  if (!info.isFile() && !info.isBlockDevice()) return undefined;
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = backingNameAt(await bytesAt(handle, 0, HEADER_BYTES));
    if (found === undefined) return undefined;
    return (await bytesAt(handle, found.at, found.bytes)).toString('utf8').replace(/\0.*$/s, '');
  } finally {
    await handle.close();
  }
}

async function bytesAt(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, at);
  return buffer.subarray(0, bytesRead);
}

interface Identity {
  readonly ids: readonly string[];
  readonly isMissing: boolean;
}

/** Identified by name and, if it exists here, by inode or device, since it may have several names. */
async function identitiesOf(image: string): Promise<Identity> {
  const rbd = parseRbd(image);
  if (rbd !== undefined)
    return { ids: [rbdPlace(rbd.pool, rbd.namespace, rbd.image)], isMissing: false };
  if (!isPath(image)) return { ids: [image.replace(/\?.*$/s, '')], isMissing: false };
  const info = await stat(image, { bigint: true }).catch(() => undefined);
  if (info === undefined) return { ids: [image], isMissing: true };
  const own = info.isBlockDevice() ? `device ${info.rdev}` : `file ${info.dev} ${info.ino}`;
  return { ids: [image, own], isMissing: false };
}
