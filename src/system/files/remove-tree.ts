import { constants } from 'node:fs';
import { open, readdir, rename, rmdir, unlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { ignoring } from '../ignoring.ts';

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** A guest's directory with more entries is an attack on this process. */
const MAX_ENTRIES = 1_000_000;
/** Another process may keep adding files to a directory being emptied. */
const TRIES = 16;

/**
 * Removes a directory, or any file of its name, even while another user creates files in it. Nothing outside is
 * touched: directories are emptied by inode, and links are removed, not followed. Only `path.dirname(directory)` must
 * be safe from replacement. A missing one is fine; rejects as unlink and rmdir do.
 */
export async function removeTree(directory: string): Promise<void> {
  const parent = await openDirectory(path.dirname(directory));
  if (parent === undefined) return;
  try {
    await removeIn(parent, Buffer.from(path.basename(directory)));
  } finally {
    await parent.close();
  }
}

async function removeIn(parent: FileHandle, name: Buffer): Promise<void> {
  for (let tried = 1; ; tried += 1) {
    const top = await openDirectory(placeIn(parent, name));
    if (top === undefined) {
      await unlink(placeIn(parent, name)).catch(ignoring('ENOENT'));
      return;
    }
    try {
      await empty(top);
    } finally {
      await top.close();
    }
    try {
      await rmdir(placeIn(parent, name));
      return;
    } catch (thrown) {
      const isAgain = ['ENOTEMPTY', 'ENOTDIR'].includes(codeOf(thrown));
      if (codeOf(thrown) === 'ENOENT') return;
      if (!isAgain || tried === TRIES) throw thrown;
    }
  }
}

/** One level at a time: nested directories are first moved to the top, so that only two are open at any depth. */
async function empty(top: FileHandle): Promise<void> {
  let seen = 0;
  for (let left = await namesIn(top); left.length > 0; left = await namesIn(top)) {
    for (const name of left) {
      seen += 1;
      if (await unlinked(top, name)) continue;
      const child = await openDirectory(placeIn(top, name));
      if (child === undefined) continue;
      try {
        seen = await bringUp(child, top, seen);
      } finally {
        await child.close();
      }
      await rmdir(placeIn(top, name)).catch(ignoring(...RACES));
    }
    if (seen > MAX_ENTRIES) throw new Error(`more than ${MAX_ENTRIES} files to remove`);
  }
}

/** Removes the files in `child` and moves its directories to `top`, numbered from `seen`. Returns the last number. */
async function bringUp(child: FileHandle, top: FileHandle, seen: number): Promise<number> {
  let number = seen;
  for (const name of await namesIn(child)) {
    number += 1;
    if (await unlinked(child, name)) continue;
    const to = placeIn(top, Buffer.from(`godwit-removed-${number}`));
    await rename(placeIn(child, name), to).catch(ignoring(...RACES));
  }
  return number;
}

/** Errors caused by concurrent changes. */
const RACES = ['ENOENT', 'ENOTEMPTY', 'ENOTDIR', 'EEXIST'];

/** Removes anything but a directory; false for a directory. */
async function unlinked(parent: FileHandle, name: Buffer): Promise<boolean> {
  try {
    await unlink(placeIn(parent, name));
    return true;
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === 'ENOENT') return true;
    // POSIX returns EPERM for a directory, Linux EISDIR.
    if (code === 'EISDIR' || code === 'EPERM') return false;
    throw thrown;
  }
}

function namesIn(directory: FileHandle): Promise<Buffer[]> {
  return readdir(`/proc/self/fd/${directory.fd}`, { encoding: 'buffer' });
}

/** A name of any bytes in an open directory, or the directory itself. */
export function placeIn({ fd }: FileHandle, name: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), name]);
}

async function openDirectory(file: string | Buffer): Promise<FileHandle | undefined> {
  try {
    return await open(file, DIRECTORY);
  } catch (thrown) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(codeOf(thrown))) return undefined;
    throw thrown;
  }
}

function codeOf(thrown: unknown): string {
  return (thrown as NodeJS.ErrnoException).code ?? '';
}
