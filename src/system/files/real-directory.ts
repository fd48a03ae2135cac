import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';

/**
 * Files on storage that other hosts share. Whoever may write there may put a link in the place of a directory at any
 * moment, and root follows it to anywhere. So a path is looked at part by part, links are not followed, and what is done
 * is done in the very directory that was found.
 */

/** Finds a directory, and neither reads it nor follows a link (O_PATH of linux/fcntl.h, which Node does not name). */
const FIND = 0o10000000 | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Calls `use` with the place of `file` in its directory, valid until `use` ends; its last part may still be a link.
 * Rejects with ENOTDIR where a link leads to that directory, and with ENOENT where it is not there. `file` is absolute.
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
