import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { judgeIdentity, REMOVED, REPLACED } from '../migration/image-identity.ts';
import type { FileIdentity } from '../migration/image-identity.ts';
import { identityOf, identityOfName } from './open-files.ts';
import { inRealDirectory } from './real-directory.ts';

/** Files that are read, renamed and removed only while they are the file whose identity was taken. */

/**
 * Opens it for reading; a name that has become a symbolic link is another file. Rejects with why the file at that path is not
 * the one whose identity was taken. `at`: where to open it, if that is not its path.
 */
export async function openIdentified(
  file: string,
  taken: FileIdentity,
  at = file,
): Promise<FileHandle> {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  const handle = await open(at, flags).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') throw new Error(`${file}: ${REMOVED}`, { cause });
    throw cause;
  });
  if ((await identityOf(pathOf(handle))) === taken) return handle;
  await handle.close();
  throw new Error(`${file}: ${REPLACED}`);
}

/** Opens the very file again, whatever lies at its path now. */
export function pathOf({ fd }: Pick<FileHandle, 'fd'>): string {
  return `/proc/self/fd/${fd}`;
}

/**
 * Renames it to another name of its directory, or removes it under that name. Both names are looked at right before each
 * change; a file that is another one is left alone. Resolves to how it ended; repeatable.
 */
export async function setAside(
  file: string,
  name: string,
  taken: FileIdentity | undefined,
  isKept: boolean,
): Promise<'removed' | 'kept' | 'other' | 'unknown' | 'gone'> {
  return inRealDirectory(file, async (at) => {
    const aside = path.join(path.dirname(at), name);
    const here = judgeIdentity(taken, await identityOfName(at));
    const isFree = (await identityOfName(aside)) === undefined;
    if (here === 'same' && !isFree) return 'other';
    if (here === 'same') await rename(at, aside);
    const there = judgeIdentity(taken, await identityOfName(aside));
    if (there !== 'same') return here === 'same' ? 'other' : here;
    if (isKept) return 'kept';
    await rm(aside, { force: true });
    return 'removed';
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return 'gone';
    throw error;
  });
}
