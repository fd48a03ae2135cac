import { readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import type { Obstacle } from './obstacle.ts';
import { filesOf } from './processes.ts';

/**
 * What CRIU would have to write into a volume to restore what is open in it: for a file that was deleted it makes one for a
 * moment, and the socket of a server it removes and binds anew. In a volume that both hosts see, that would happen before
 * the destination has the right to run, and a source that runs on would find its own gone.
 */

const DELETED = ' (deleted)';
/** What NFS calls a file that was deleted while it was open. */
const SILLY = '.nfs0';

/** `files`: what the processes have open or mapped, as the kernel names it; `sockets`: where they are bound. Pure. */
export function openObstacle(
  destination: string,
  files: Iterable<string>,
  sockets: Iterable<string>,
): Obstacle | undefined {
  const within = (file: string): boolean =>
    file === destination || file.startsWith(`${destination}/`);
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
  return undefined;
}

/** The last column, where it is a path; a relative one was bound from the directory of some process. Pure. */
export function boundPaths(table: string, directories: readonly string[]): string[] {
  return table.split('\n').flatMap((line) => {
    const bound = /^[0-9a-f]+: (?:\S+\s+){6}([^@\s].*)$/i.exec(line)?.[1];
    if (bound === undefined) return [];
    return bound.startsWith('/')
      ? [path.posix.normalize(bound)]
      : directories.map((each) => path.posix.join(each, bound));
  });
}

/** Mapped files, of /proc/PID/maps. Pure. */
export function mappedPaths(maps: string): string[] {
  return maps.split('\n').flatMap((line) => {
    const file = /^\S+ \S+ \S+ \S+ \d+\s+(\/.*)$/.exec(line)?.[1];
    return file === undefined ? [] : [file];
  });
}

/** The first thing that is open in a volume mounted there and that CRIU would write. */
export async function lookForOpen(
  pids: readonly number[],
  destination: string,
): Promise<Obstacle | undefined> {
  const files = new Set<string>();
  const directories = new Set<string>();
  const tables = new Set<string>();
  for (const pid of pids) {
    for (const file of (await filesOf(pid)).values()) files.add(file);
    for (const file of mappedPaths(await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '')))
      files.add(file);
    directories.add(await readlink(`/proc/${pid}/cwd`).catch(() => '/'));
    tables.add(await readFile(`/proc/${pid}/net/unix`, 'utf8').catch(() => ''));
  }
  const sockets = [...tables].flatMap((table) => boundPaths(table, [...directories]));
  return openObstacle(destination, files, sockets);
}
