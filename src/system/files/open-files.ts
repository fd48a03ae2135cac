import { readFileSync, readlinkSync, type BigIntStats } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { godwitError } from '../../errors.ts';
import { lifeOfPid } from '../processes/life.ts';
import {
  identifyImages,
  type FileIdentity,
  type ImageIdentities,
  type NamedImage,
} from '../../migration/image-identity.ts';

export interface OpenFile {
  readonly id: FileIdentity;
  /** Descriptor in the process: `/proc/PID/fd/N` opens the file even without a name. */
  readonly fd: string;
  readonly mayWrite: boolean;
}

/** The unit of `st_blocks`. */
const BLOCK_BYTES = 512;

/** Files examined before other work gets its turn. */
const AT_ONCE = 256;

/** The identity of a file, equal for all its paths. Undefined if it is missing. */
export async function identityOf(file: string): Promise<FileIdentity | undefined> {
  const info = await stat(file, { bigint: true }).catch(() => undefined);
  if (info === undefined) return undefined;
  // A device has many nodes, so its number counts.
  return info.isBlockDevice() ? `device:${info.rdev}` : identityIn(info);
}

/** 0: the file system stores no birth time. */
function identityIn({ dev, ino, birthtimeNs }: BigIntStats): FileIdentity {
  return birthtimeNs === 0n ? `${dev}:${ino}` : `${dev}:${ino}:${birthtimeNs}`;
}

/** Identity of the name itself; a symbolic link is a separate file. Undefined if it is missing. */
export async function identityOfName(file: string): Promise<FileIdentity | undefined> {
  try {
    return identityIn(await lstat(file, { bigint: true }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export async function inodesOf(files: readonly string[]): Promise<Set<string>> {
  const found = await Promise.all(
    files.map((file) => stat(file, { bigint: true }).catch(() => undefined)),
  );
  return new Set(found.flatMap((each) => (each === undefined ? [] : [String(each.ino)])));
}

/**
 * A process's open files with one of these inodes, and its open devices, whose nodes differ between mount namespaces.
 * Empty for an ended process. Other files are not touched, because their storage may hang. Throws GODWIT_HOST_LACKS
 * without permission.
 */
export async function openFiles(
  { pid }: { readonly pid: number },
  inodes: ReadonlySet<string>,
): Promise<OpenFile[]> {
  const names = (await ofProcess(pid, () => readdir(`/proc/${pid}/fd`))) ?? [];
  const found: OpenFile[] = [];
  for (const [index, fd] of names.entries()) {
    if (index % AT_ONCE === AT_ONCE - 1) await nextTurn();
    const seen = await ofProcess(pid, async () => wanted(pid, fd, inodes));
    if (seen === undefined) continue;
    const id = await identityOf(`/proc/${pid}/fd/${fd}`);
    if (id !== undefined) found.push({ id, fd, mayWrite: seen.mayWrite });
  }
  return found;
}

/**
 * A process's open images among the given ones. `root`: base of their paths. Throws GODWIT_HOST_LACKS without
 * permission.
 */
export async function identifyOpen(
  pid: number,
  images: readonly NamedImage[],
  root = '',
): Promise<ImageIdentities> {
  const files = [...new Set(images.map(({ file }) => file))];
  const atPath = new Map<string, FileIdentity>();
  const allocated = new Map<string, number>();
  for (const file of files) {
    const id = await identityOf(`${root}${file}`);
    if (id !== undefined) atPath.set(file, id);
    const info = await stat(`${root}${file}`).catch(() => undefined);
    if (info?.isFile() === true) allocated.set(file, info.blocks * BLOCK_BYTES);
  }
  const open = await openFiles({ pid }, await inodesOf(files.map((file) => `${root}${file}`)));
  if (open.length === 0 && lifeOfPid(pid).state === 'gone') throw new Error('it has ended');
  return identifyImages(images, atPath, new Set(open.map(({ id }) => id)), allocated);
}

/** Undefined for other files. Reads only `/proc`, which never waits for storage. */
function wanted(
  pid: number,
  fd: string,
  inodes: ReadonlySet<string>,
): Pick<OpenFile, 'mayWrite'> | undefined {
  const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
  if (!target.startsWith('/')) return undefined;
  const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8');
  const inode = /^ino:\s*(\d+)$/m.exec(info)?.[1];
  // Kernels before 5.14 do not report it.
  const isWanted = isDeviceNode(target) || inode === undefined || inodes.has(inode);
  return isWanted ? { mayWrite: mayWrite(info) } : undefined;
}

export function isDeviceNode(target: string): boolean {
  return (
    target.startsWith('/dev/') && !/^\/dev\/(null|zero|u?random|pts\/|shm\/|ptmx)/.test(target)
  );
}

/** `flags:	0100002`: octal; the last digit is the access mode, 0 for reading alone. */
function mayWrite(fdinfo: string): boolean {
  const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(fdinfo)?.[1] ?? '0', 8);
  return (flags & 3) !== 0;
}

async function ofProcess<T>(pid: number, look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    const what = `leave to see which files process ${pid} has open`;
    throw godwitError('GODWIT_HOST_LACKS', { what }, { cause: thrown });
  }
}
