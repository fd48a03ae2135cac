import { lstatSync } from 'node:fs';
import { readOfProcess } from '../processes/read-of-process.ts';
import { identityOf, isDeviceNode, type OpenFile } from './open-files.ts';

/** Files that a process has mapped into its memory. They need not be open any more: a mapping alone holds and changes a file. */

export type MappedFile = Pick<OpenFile, 'id' | 'mayWrite'>;

/** `start-end perms offset device inode path` of /proc/PID/maps. */
const LINE = /^([\da-f]+)-([\da-f]+) (\S{4}) [\da-f]+ ([\da-f]+:[\da-f]+) (\d+)( .*|)$/;
const WRITABLE = 0o200;

/**
 * Those with one of these inodes, and devices if they are asked for. `isWhole`: there are no more, and none that this user may
 * not look at.
 */
export async function mappedFiles(
  pid: number,
  inodes: ReadonlySet<string>,
  withDevices: boolean,
  signal: AbortSignal,
): Promise<{ readonly files: readonly MappedFile[]; readonly isWhole: boolean }> {
  // Of a process whose first thread has ended, only the others have memory: `pid` may be a thread.
  const maps = await readOfProcess(pid, 'maps', signal);
  if (maps === undefined) return { files: [], isWhole: false };
  const isMentioned =
    (withDevices && maps.includes(' /dev/')) ||
    [...inodes].some((inode) => maps.includes(` ${inode} `));
  if (!isMentioned) return { files: [], isWhole: true };
  const files: MappedFile[] = [];
  let isWhole = true;
  for (const line of maps.split('\n')) {
    const [, start = '', end = '', permissions = '', , inode = '', target = ''] =
      LINE.exec(line)?.map((part) => part.trim()) ?? [];
    if (!inodes.has(inode) && !(withDevices && isDeviceNode(target))) continue;
    const at = `/proc/${pid}/map_files/${bare(start)}-${bare(end)}`;
    const mode = modeOf(at);
    if (mode === undefined) continue;
    const id = await identityOf(at);
    // A private mapping changes memory alone; the mode is the one with which the file was opened.
    if (id !== undefined)
      files.push({ id, mayWrite: permissions.endsWith('s') && (mode & WRITABLE) !== 0 });
    else isWhole = false;
  }
  return { files, isWhole };
}

/** Undefined if the mapping is gone; 0 if this user may not look at it. */
function modeOf(at: string): number | undefined {
  try {
    return lstatSync(at, { throwIfNoEntry: false })?.mode;
  } catch {
    return 0;
  }
}

/** `maps` fills addresses up with zeros, and the names in `map_files` do not. */
function bare(address: string): string {
  return address.replace(/^0+(?=.)/, '');
}
