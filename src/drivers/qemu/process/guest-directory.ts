import path from 'node:path';
import { readEnd } from '../../../system/files/checked-open.ts';
import { lifeOfPid } from '../../../system/processes/life.ts';
import type { GuestDirectory } from '../../../port/inventory.ts';
import { isMarked } from '../incoming.ts';
import { PID_FILE } from '../spec/names.ts';

const PID_BYTES = 32;

export async function guestDirectory(guestDir: string): Promise<GuestDirectory> {
  return {
    mayLive: mayLiveByPidFile(path.join(guestDir, PID_FILE)),
    unsettled: await isMarked(guestDir),
  };
}

/** A pid that was reused or cannot be seen keeps the directory, which does no harm. */
function mayLiveByPidFile(file: string): boolean {
  let text: string;
  try {
    text = readEnd(file, PID_BYTES);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
  const pid = Number(text.trim());
  return Number.isSafeInteger(pid) && pid > 1 && lifeOfPid(pid).state !== 'gone';
}
