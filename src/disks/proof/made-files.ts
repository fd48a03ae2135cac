import { link, mkdir, open, rm, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { identityOfName } from '../../system/files/open-files.ts';
import { inRealDirectory } from '../../system/files/real-directory.ts';
import { ignoring } from '../../system/ignoring.ts';

/**
 * File made by a migration: created under a migration's name, then linked to its final name, which fails if that
 * exists. After a crash at any point, cleanup can tell what was made: only a file that is the same under both names.
 */
export interface StagedFile {
  /** In the same directory as `file`. */
  readonly temporary: string;
  readonly file: string;
}

/** Name of an image that is no longer the disk of a guest. */
export function asideOf(file: string, migration: string): string {
  return `${file}.moved-${migration}`;
}

/** The names of the migration's `index`th file. */
export function madeNames(file: string, migration: string, index: number | string): StagedFile {
  return { temporary: path.join(path.dirname(file), `.godwit-${migration}-${index}`), file };
}

/**
 * Makes missing directories, outermost first, and syncs the name of each: a host that loses power after the switch would lose
 * the files in them with it. The guest's QEMU, another user, can pass them.
 */
export async function makeDirectories(directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    await inRealDirectory(directory, async (at) => {
      await mkdir(at, { mode: 0o711 }).catch(ignoring('EEXIST'));
      await syncDirectory(path.dirname(at));
    });
  }
}

/** Gives the file its name. EEXIST if taken; does nothing if it already has it. */
export async function name({ temporary, file }: StagedFile): Promise<void> {
  await inRealDirectory(file, async (at) => {
    const own = path.join(path.dirname(at), path.basename(temporary));
    if (!(await isSame(own, at))) await link(own, at);
    // A host that loses power after the switch must not have lost the name.
    await syncDirectory(path.dirname(at));
  });
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The file stays: only its own name does. */
export async function keep({ temporary }: StagedFile): Promise<void> {
  await where(temporary, (at) => rm(at, { force: true }));
}

export async function discard({ temporary, file }: StagedFile): Promise<void> {
  await where(file, async (at) => {
    const own = path.join(path.dirname(at), path.basename(temporary));
    if (await isSame(own, at)) await rm(at, { force: true });
    await rm(own, { force: true });
  });
}

/** Renames the file within its directory, so that its name is free. Repeatable. */
export async function setAside({ temporary, file }: StagedFile, aside: string): Promise<void> {
  await where(file, async (at) => {
    const own = path.join(path.dirname(at), path.basename(temporary));
    const kept = path.join(path.dirname(at), aside);
    if ((await identityOfName(own)) === undefined) return;
    // The first link is the migration's own: whatever happens in between, one name of the file is there.
    if (!(await isSame(own, kept))) await link(own, kept);
    if (await isSame(own, at)) await rm(at, { force: true });
    await rm(own, { force: true });
    await syncDirectory(path.dirname(at));
  });
}

/** Removes what `makeDirectories` made, where nothing else is in it. */
export async function removeDirectories(directories: readonly string[]): Promise<void> {
  for (const directory of directories.toReversed()) {
    await where(directory, (at) => rmdir(at)).catch((error: NodeJS.ErrnoException) => {
      if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(error.code ?? '')) throw error;
    });
  }
}

export async function isNamed({ temporary, file }: StagedFile): Promise<boolean> {
  const same = await where(file, (at) =>
    isSame(path.join(path.dirname(at), path.basename(temporary)), at),
  );
  return same === true;
}

/** If its directory is gone or replaced by a link, nothing of it is ours. */
async function where<T>(file: string, work: (at: string) => Promise<T>): Promise<T | undefined> {
  return inRealDirectory(file, work).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
}

async function isSame(one: string, other: string): Promise<boolean> {
  const [left, right] = await Promise.all([identityOfName(one), identityOfName(other)]);
  return left !== undefined && left === right;
}
