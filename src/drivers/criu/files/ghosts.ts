import { readFile, stat } from 'node:fs/promises';
import { formatBytes } from '../../../protocol/quantity.ts';
import type { Obstacle } from '../obstacle.ts';
import { filesOf } from '../host/processes.ts';

/**
 * Deleted files that a container's processes have open or mapped. CRIU includes their contents in the dump, up
 * to a limit for each. Godwit also has a limit for their sum.
 */

/** The file is read, written, sent and written again during the freeze. */
export const GHOST_BYTES = 64 * 1024 ** 2;

/** Limit for all of them: many small files would take as long. */
export const GHOSTS_BYTES = 256 * 1024 ** 2;

const DELETED = ' (deleted)';
const MAX_OBSTACLES = 32;
const HINT =
  'Have its program close it (as a log is rotated), or restart it. --mode cold moves the container without.';
/** A memory file also has a path, but moves with the memory. */
export const IN_MEMORY = /^\/(memfd:|SYSV|dev\/zero \(deleted\)|anon_hugepage)/;

export interface Ghost {
  readonly file: string;
  readonly bytes: number;
}

/**
 * Obstacles of a container's deleted files, each counted once. Files over the limit are named, the others are
 * summed. Pure.
 */
export function ghostsObstacles(ghosts: readonly Ghost[]): Obstacle[] {
  const large = ghosts.flatMap(({ file, bytes }) => ghostObstacle(file, bytes) ?? []);
  const others = ghosts.filter(({ bytes }) => bytes <= GHOST_BYTES);
  const sum = others.reduce((all, { bytes }) => all + bytes, 0);
  if (sum <= GHOSTS_BYTES) return large.slice(0, MAX_OBSTACLES);
  const largest = others.reduce((one, each) => (each.bytes > one.bytes ? each : one));
  const reason = `it and ${others.length - 1} others were deleted and are still open, and have ${formatBytes(sum)}: at most ${formatBytes(GHOSTS_BYTES)} of such files move`;
  const together: Obstacle = {
    device: largest.file,
    type: 'deleted files',
    reason,
    hint: HINT,
    ofMemory: true,
  };
  return [together, ...large].slice(0, MAX_OBSTACLES);
}

export function ghostObstacle(file: string, bytes: number): Obstacle | undefined {
  if (bytes <= GHOST_BYTES) return undefined;
  const reason = `it was deleted and is still open, and has ${formatBytes(bytes)}: at most ${formatBytes(GHOST_BYTES)} of such a file move`;
  return { device: file, type: 'deleted file', reason, hint: HINT, ofMemory: true };
}

export function deletedIn(maps: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of maps.split('\n')) {
    const [, range = '', file = ''] = /^([0-9a-f]+-[0-9a-f]+) (?:\S+ +){4}(\/.*)$/.exec(line) ?? [];
    if (isDeleted(file)) found.set(`map_files/${range}`, file);
  }
  return found;
}

const isDeleted = (file: string): boolean => file.endsWith(DELETED) && !IN_MEMORY.test(file);

export async function ghostObstacles(pids: readonly number[]): Promise<Obstacle[]> {
  const found = new Map<string, Ghost>();
  for (const pid of pids) {
    const maps = await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '');
    const open = [...(await filesOf(pid))].flatMap(([number, file]) =>
      isDeleted(file) ? [[`fd/${number}`, file] as const] : [],
    );
    for (const [place, file] of [...open, ...deletedIn(maps)]) {
      // It may be closed by now. A file with another name is linked there again.
      const seen = await stat(`/proc/${pid}/${place}`).catch(() => undefined);
      if (seen === undefined || !seen.isFile() || seen.nlink > 0) continue;
      const ghost = { file: file.slice(0, -DELETED.length), bytes: seen.size };
      found.set(`${seen.dev}:${seen.ino}`, ghost);
    }
  }
  return ghostsObstacles([...found.values()]);
}
