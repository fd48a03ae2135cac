import { readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import { unixSockets } from '../../../system/kernel-tables.ts';
import type { Obstacle } from '../obstacle.ts';
import { filesOf } from '../host/processes.ts';

/**
 * Open files in a volume that CRIU would write to at a restore: it briefly recreates a deleted file or
 * directory, and rebinds a server's socket. In a shared volume this would happen before the destination may run,
 * and a source that continues would lose its files. CRIU would also wait for a lock that the source still holds.
 */

const DELETED = ' (deleted)';
/** NFS's name of a file that was deleted while open. */
const SILLY = '.nfs0';

/**
 * `files`: the kernel's paths of open and mapped files and of working directories. `sockets`: bound paths.
 * `locked`: files with a lock. Pure.
 */
export function openObstacle(
  destination: string,
  files: Iterable<string>,
  sockets: Iterable<string>,
  locked: Iterable<string> = [],
): Obstacle | undefined {
  const within = (file: string): boolean => isWithin(destination, file);
  const facts = { device: destination, type: 'shared volume', ofMemory: true } as const;
  for (const file of files) {
    const isGone = file.endsWith(DELETED) || path.posix.basename(file).startsWith(SILLY);
    if (!within(file) || !isGone) continue;
    const name = file.endsWith(DELETED) ? file.slice(0, -DELETED.length) : file;
    const reason = `${name} is open there and was deleted: CRIU would write it there anew before the destination may`;
    const hint =
      'Have the program close it, or put such files into the container’s own /tmp. --mode cold moves it without.';
    return { ...facts, reason, hint };
  }
  for (const socket of sockets) {
    if (!within(socket)) continue;
    const reason = `${socket} is a socket there: CRIU would make it anew before the destination may write`;
    const hint =
      'Put the socket where the container has its own files, such as /run. --mode cold moves it without.';
    return { ...facts, reason, hint };
  }
  for (const file of locked) {
    if (!within(file)) continue;
    const reason = `${file} is locked there: the source holds the lock until the destination runs`;
    const hint =
      'Have the program give its lock up (flock, fcntl), or put what it locks where the container has its own files, such as /run. --mode cold moves it without.';
    return { ...facts, reason, hint };
  }
  return undefined;
}

/**
 * Bound paths of the processes' sockets, from /proc/PID/net/unix, which lists the whole network namespace. A
 * relative path is relative to some process's directory. `held`: sockets as descriptors name them. Pure.
 */
export function boundPaths(
  table: string,
  directories: readonly string[],
  held: ReadonlySet<string>,
): string[] {
  return unixSockets(table).flatMap(({ inode, boundTo: bound = '@' }) => {
    if (bound.startsWith('@') || !held.has(`socket:[${inode}]`)) return [];
    return bound.startsWith('/')
      ? [path.posix.normalize(bound)]
      : directories.map((each) => path.posix.join(each, bound));
  });
}

export function mappedPaths(maps: string): string[] {
  return maps.split('\n').flatMap((line) => {
    const file = /^\S+ \S+ \S+ \S+ \d+\s+(\/.*)$/.exec(line)?.[1];
    return file === undefined ? [] : [file];
  });
}

/** First open file in a volume mounted there that CRIU would write. */
export async function lookForOpen(
  pids: readonly number[],
  destination: string,
): Promise<Obstacle | undefined> {
  const files = new Set<string>();
  const locked = new Set<string>();
  const directories = new Set<string>();
  const tables = new Set<string>();
  for (const pid of pids) {
    for (const [number, file] of await filesOf(pid)) {
      files.add(file);
      if (isWithin(destination, file) && (await isLocked(pid, number))) locked.add(file);
    }
    for (const file of mappedPaths(await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '')))
      files.add(file);
    const [directory = '/', root = '/'] = await Promise.all(
      ['cwd', 'root'].map((each) => readlink(`/proc/${pid}/${each}`).catch(() => undefined)),
    );
    files.add(directory).add(root);
    directories.add(directory);
    tables.add(await readFile(`/proc/${pid}/net/unix`, 'utf8').catch(() => ''));
  }
  const sockets = [...tables].flatMap((table) => boundPaths(table, [...directories], files));
  return openObstacle(destination, files, sockets, locked);
}

function isWithin(destination: string, file: string): boolean {
  return file === destination || file.startsWith(`${destination}/`);
}

/** Lock by flock, fcntl or a lease, as the kernel reports it for the open file. */
async function isLocked(pid: number, number: number): Promise<boolean> {
  const info = await readFile(`/proc/${pid}/fdinfo/${number}`, 'utf8').catch(() => '');
  return /^lock:/m.test(info);
}
