import { lstatSync } from 'node:fs';
import { readOfProcess } from '../processes/read-of-process.ts';
import { identityOf, isDeviceNode, type OpenFile } from './open-files.ts';

/** Mapped files of a process, which need not be open: a mapping can hold and change a file. */

export type MappedFile = Pick<OpenFile, 'id' | 'mayWrite'>;

/** `start-end perms offset device inode path` of /proc/PID/maps. */
const LINE = /^([\da-f]+)-([\da-f]+) (\S{4}) [\da-f]+ ([\da-f]+:[\da-f]+) (\d+)( .*|)$/;
const WRITABLE = 0o200;

/** Mappings of these inodes, and optionally of devices. `isWhole`: all were visible. */
export async function mappedFiles(
  pid: number,
  inodes: ReadonlySet<string>,
  withDevices: boolean,
  signal: AbortSignal,
): Promise<{ readonly files: readonly MappedFile[]; readonly isWhole: boolean }> {
  // After its first thread has ended, only other threads show the memory: `pid` may be a thread.
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
    // A private mapping changes only memory; the mode is that of the open.
    if (id !== undefined)
      files.push({ id, mayWrite: permissions.endsWith('s') && (mode & WRITABLE) !== 0 });
    else isWhole = false;
  }
  return { files, isWhole };
}

function modeOf(at: string): number | undefined {
  try {
    return lstatSync(at, { throwIfNoEntry: false })?.mode;
  } catch {
    return 0;
  }
}

/** `maps` pads addresses with zeros, `map_files` does not. */
function bare(address: string): string {
  return address.replace(/^0+(?=.)/, '');
}
