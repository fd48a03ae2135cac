import { constants } from 'node:fs';
import { link, open, rename, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import {
  judgeIdentity,
  REMOVED,
  REPLACED,
  type FileIdentity,
} from '../../migration/image-identity.ts';
import { identityOf, identityOfName } from './open-files.ts';
import { inRealDirectory } from './real-directory.ts';

/** Files that are read, renamed and removed only while they are the file whose identity was taken. */

/**
 * Opens it for reading while the guest's hypervisor has it open; a name that has become a symbolic link is another file. Rejects with why the file at that path is not
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
  if (judgeIdentity(taken, await identityOf(pathOf(handle)), true) === 'same') return handle;
  await handle.close();
  throw new Error(`${file}: ${REPLACED}`);
}

/** Opens the very file again, whatever lies at its path now. */
export function pathOf({ fd }: Pick<FileHandle, 'fd'>): string {
  return `/proc/self/fd/${fd}`;
}

/**
 * Renames it to another name of its directory, or removes it under that name. Both names are looked at right before each
 * change; a file that is another one is left alone. `isHeld`: see `judgeIdentity`. Resolves to how it ended; repeatable.
 */
export async function setAside(
  file: string,
  name: string,
  taken: FileIdentity | undefined,
  { isKept, isHeld = false }: { readonly isKept: boolean; readonly isHeld?: boolean },
): Promise<'removed' | 'kept' | 'other' | 'unknown' | 'gone'> {
  const judge = async (at: string) => judgeIdentity(taken, await identityOfName(at), isHeld);
  return inRealDirectory(file, async (at) => {
    const aside = path.join(path.dirname(at), name);
    const here = await judge(at);
    const isFree = (await identityOfName(aside)) === undefined;
    if (here === 'same' && !isFree) return 'other';
    if (here === 'same') await rename(at, aside);
    const there = await judge(aside);
    if (there === 'same') {
      if (isKept) return 'kept';
      await rm(aside, { force: true });
      return 'removed';
    }
    if (here !== 'same') return here === 'gone' && there === 'unknown' ? there : here;
    // Another file came to the path after the look: it gets its name back, unless yet another one has it.
    await link(aside, at);
    await rm(aside);
    return 'other';
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return 'gone';
    throw error;
  });
}
