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

/** Reads, renames and removes files only while they have the recorded identity. */

/**
 * Opens a file for reading while the guest's hypervisor has it open; a symbolic link counts as another file. Rejects
 * with the reason if the identity differs. `at`: where to open it, if not at its path.
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

/** A path that reopens this file, whatever is at its original path now. */
export function pathOf({ fd }: Pick<FileHandle, 'fd'>): string {
  return `/proc/self/fd/${fd}`;
}

/**
 * Renames the file within its directory, or removes it under that name. Checks both names right before each change, and
 * leaves other files alone. `isHeld`: see `judgeIdentity`. Resolves to the result; idempotent.
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
    await link(aside, at);
    await rm(aside);
    return 'other';
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return 'gone';
    throw error;
  });
}
