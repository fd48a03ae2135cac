import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';

/**
 * Accesses files on storage shared with other hosts. A writer there can replace a directory by a link at any moment,
 * which root would follow anywhere. So paths are resolved segment by segment without links, and operations use the
 * found directory itself.
 */

/** Finds a directory without reading it or following a link (O_PATH of linux/fcntl.h, which Node does not define). */
const FIND = 0o10000000 | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Calls `use` with a path of `file` in its found directory, valid until `use` ends; the last segment may still be a
 * link. Rejects with ENOTDIR for a link on the way, and with ENOENT for a missing directory. `file` is absolute.
 */
export async function inRealDirectory<T>(
  file: string,
  use: (at: string) => Promise<T>,
): Promise<T> {
  const parts = path.dirname(file).split('/');
  let found: FileHandle | undefined;
  try {
    for (const part of parts.filter((each) => each !== '')) {
      const below = found === undefined ? '/' : `/proc/self/fd/${found.fd}/`;
      const next = await open(`${below}${part}`, FIND).catch((cause: NodeJS.ErrnoException) => {
        if (cause.code !== 'ENOTDIR') throw cause;
        const why = `a symbolic link, or what is no directory, is on the way to ${file}`;
        throw Object.assign(new Error(why, { cause }), { code: cause.code });
      });
      await found?.close();
      found = next;
    }
    const directory = found === undefined ? '/' : `/proc/self/fd/${found.fd}`;
    return await use(path.join(directory, path.basename(file)));
  } finally {
    await found?.close();
  }
}
