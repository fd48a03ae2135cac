import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readdir, type FileHandle } from 'node:fs/promises';
import { absent, ignoring } from '../../system/ignoring.ts';
import { placeIn } from '../../system/files/remove-tree.ts';

/** Changes in a tree between two scans. An unwritten file keeps its change time, which no program can set. */

export interface Stamp {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: bigint;
  readonly ino: bigint;
  readonly ctimeNs: bigint;
}

/** Paths in the tree, such as `./a`, with directories before their contents; each byte of a name is a latin1 letter. */
export type Scan = ReadonlyMap<string, Stamp>;

export const MAX_FILES = 500_000;
export const MAX_DEPTH = 256;
const BATCH = 64;
/** Does not follow a link that has replaced a directory: it may lead out of the tree. */
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

interface Look {
  readonly directory: string;
  readonly device: bigint;
  readonly found: Map<string, Stamp>;
  readonly signal: AbortSignal;
}

/**
 * Omits mounts, as tar does, and sockets, which are restored with their processes. A concurrent writer cannot
 * lead the scan out of the tree, because each directory is opened by descriptor instead of path.
 */
export async function scanTree(directory: string, signal: AbortSignal): Promise<Scan> {
  const top = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const own = await top.stat({ bigint: true });
    const found = new Map([['.', stampOfFile(own)]]);
    await lookInto(top, '.', 1, { directory, device: own.dev, found, signal });
    return found;
  } finally {
    await top.close();
  }
}

async function lookInto(at: FileHandle, key: string, depth: number, look: Look): Promise<void> {
  const { directory, device, found, signal } = look;
  if (depth > MAX_DEPTH)
    throw new Error(`${directory} has more than ${MAX_DEPTH} directories in one another`);
  const listed = await readdir(placeIn(at), { encoding: 'buffer' }).catch(absent);
  const names = listed ?? [];
  const inner: Buffer[] = [];
  for (let index = 0; index < names.length; index += BATCH) {
    signal.throwIfAborted();
    const batch = names.slice(index, index + BATCH);
    const facts = await Promise.all(
      batch.map((name) => lstat(placeIn(at, name), { bigint: true }).catch(absent)),
    );
    for (const [number, each] of facts.entries()) {
      const name = batch[number];
      if (name === undefined || each === undefined || each.isSocket()) continue;
      found.set(below(key, name), stampOfFile(each));
      if (each.isDirectory() && each.dev === device) inner.push(name);
    }
    if (found.size > MAX_FILES) throw new Error(`${directory} has more than ${MAX_FILES} files`);
  }
  for (const name of inner) {
    const next = await open(placeIn(at, name), DIRECTORY).catch(
      ignoring('ENOENT', 'ENOTDIR', 'ELOOP'),
    );
    if (next === undefined) continue;
    try {
      await lookInto(next, below(key, name), depth + 1, look);
    } finally {
      await next.close();
    }
  }
}

function below(key: string, name: Buffer): string {
  return `${key}/${name.toString('latin1')}`;
}

interface Facts {
  readonly mode: bigint;
  readonly uid: bigint;
  readonly gid: bigint;
  readonly size: bigint;
  readonly ino: bigint;
  readonly ctimeNs: bigint;
}

export function stampOfFile({ mode, uid, gid, size, ino, ctimeNs }: Facts): Stamp {
  return { mode: Number(mode), uid: Number(uid), gid: Number(gid), size, ino, ctimeNs };
}

function kindOf({ mode }: Stamp): number {
  return mode & constants.S_IFMT;
}

/**
 * New or changed files, and removed ones without their contents. A file changed at `sinceNs` or later may have
 * changed again with the same time, so it counts as changed. Pure.
 */
export function changesBetween(
  before: Scan,
  now: Scan,
  sinceNs: bigint,
): { readonly changed: readonly string[]; readonly gone: readonly string[] } {
  const changed: string[] = [];
  for (const [key, stamp] of now) {
    const old = before.get(key);
    const isSame =
      old !== undefined &&
      kindOf(old) === kindOf(stamp) &&
      old.ino === stamp.ino &&
      old.size === stamp.size &&
      old.ctimeNs === stamp.ctimeNs &&
      stamp.ctimeNs < sinceNs;
    if (!isSame) changed.push(key);
  }
  const left = new Set<string>();
  const gone: string[] = [];
  for (const [key, old] of before) {
    const stamp = now.get(key);
    if (stamp !== undefined && kindOf(stamp) === kindOf(old)) continue;
    left.add(key);
    if (!left.has(key.slice(0, key.lastIndexOf('/')))) gone.push(key);
  }
  return { changed, gone };
}

/** SHA-256 of names, types, modes, owners and sizes. Pure. */
export function digestOf(scan: Scan): string {
  const hash = createHash('sha256');
  for (const key of [...scan.keys()].toSorted()) {
    const { mode, uid, gid, size } = scan.get(key) ?? { mode: 0, uid: 0, gid: 0, size: 0n };
    const isFile = (mode & constants.S_IFMT) === constants.S_IFREG;
    hash.update(`${JSON.stringify(key)} ${mode} ${uid} ${gid} ${isFile ? size : 0n}\n`);
  }
  return hash.digest('hex');
}
