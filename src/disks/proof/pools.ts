import { createHash } from 'node:crypto';
import { lstat, realpath, stat } from 'node:fs/promises';
import path from 'node:path';

export interface Pool {
  /** The other host's name for it; reveals no path. */
  readonly id: string;
  /** Real path. */
  readonly root: string;
}

export interface ImageLocation {
  readonly pool: Pool;
  /** Path from the pool's root. */
  readonly path: string;
}

export type LookupResult<T> =
  | { readonly found: T }
  /** `isGone`: no storage of this host can have it. */
  | { readonly problem: string; readonly isGone?: true };

/** Existing directories; skips unmounted or removed ones, and exports without a mount. */
export async function openPools(
  storage: readonly ({ readonly path: string } | object)[],
): Promise<Pool[]> {
  const pools: Pool[] = [];
  for (const each of storage) {
    if (!('path' in each)) continue;
    const root = await realpath(each.path).catch(() => undefined);
    if (root === undefined || pools.some((pool) => pool.root === root)) continue;
    pools.push({ id: createHash('sha256').update(root).digest('hex').slice(0, 16), root });
  }
  return pools;
}

/** Part of `file` below `root`; undefined if it is elsewhere. Pure. */
export function below(root: string, file: string): string | undefined {
  const part = path.relative(root, file);
  const outside = part === '' || part === '..' || part.startsWith('../') || path.isAbsolute(part);
  return outside ? undefined : part;
}

/** Innermost pool of a file, with symbolic links resolved. */
export async function locate(
  pools: readonly Pool[],
  file: string,
  kind: 'file' | 'directory' = 'file',
): Promise<LookupResult<ImageLocation>> {
  const real = await realpath(file).catch(() => undefined);
  if (real === undefined) return { problem: `${file} is not there`, isGone: true };
  const info = await stat(real);
  const fits = kind === 'file' ? info.isFile() : info.isDirectory();
  if (!fits) return { problem: `it is not a ${kind}` };
  const pool = pools
    .filter(({ root }) => below(root, real) !== undefined)
    .toSorted((left, right) => right.root.length - left.root.length)[0];
  const part = pool === undefined ? undefined : below(pool.root, real);
  if (pool !== undefined && part !== undefined) return { found: { pool, path: part } };
  const where = pools.map(({ root }) => root).join(', ');
  if (where === '') return { problem: '`storage` names no directory of this host' };
  return { problem: `it lies outside of what \`storage\` names (${where})` };
}

/** File or directory at `part` of a pool; symbolic links on the way are refused. */
export async function resolveIn(
  pool: Pool,
  part: string,
  kind: 'file' | 'directory',
): Promise<LookupResult<string>> {
  const wanted = path.join(pool.root, part);
  if (wanted !== pool.root && below(pool.root, wanted) === undefined) {
    return { problem: 'it lies outside of its storage' };
  }
  const real = await realpath(wanted).catch(() => undefined);
  if (real === undefined) return { problem: 'there is no such file' };
  if (real !== wanted) return { problem: 'a symbolic link leads to it' };
  const info = await stat(real);
  const fits = kind === 'file' ? info.isFile() : info.isDirectory();
  return fits ? { found: real } : { problem: `it is not a ${kind}` };
}

/** Identity of the directory behind a name, unique while it exists; undefined if there is none. */
export async function directoryStamp(pool: Pool, part: string): Promise<string | undefined> {
  const directory = await resolveIn(pool, part, 'directory');
  if ('problem' in directory) return undefined;
  const found = await lstat(directory.found, { bigint: true }).catch(() => undefined);
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
}

/** New file in a pool, and missing directories, outermost first. */
export interface NewFile {
  readonly file: string;
  readonly directories: readonly string[];
}

/** Path for a new file at `part` of a pool; refuses symbolic links on the way and existing files. */
export async function newFileIn(pool: Pool, part: string): Promise<LookupResult<NewFile>> {
  const file = path.join(pool.root, part);
  if (below(pool.root, file) === undefined) return { problem: 'it lies outside of its storage' };
  const directories: string[] = [];
  for (let at = path.dirname(file); at !== pool.root; at = path.dirname(at)) {
    const info = await lstat(at).catch(() => undefined);
    if (info === undefined) {
      directories.unshift(at);
      continue;
    }
    if (!info.isDirectory() || (await realpath(at)) !== at) {
      return { problem: `${path.relative(pool.root, at)} is a symbolic link, or no directory` };
    }
    break;
  }
  const there = await lstat(file).catch(() => undefined);
  return there === undefined
    ? { found: { file, directories } }
    : { problem: `${part} is there already` };
}
