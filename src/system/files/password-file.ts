import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { godwitError } from '../../errors.ts';

const MAX_BYTES = 1024;

/**
 * Reads a password from a file that only its owner can read. GODWIT_CONFIG for any other file. The password is never
 * shown.
 */
export async function readPassword(file: string): Promise<string> {
  const wrong = (what: string, cause?: unknown): Error =>
    godwitError('GODWIT_CONFIG', { file, what }, { cause });
  const opened = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch(
    (cause: unknown) => {
      throw wrong('the password cannot be read', cause);
    },
  );
  try {
    const found = await opened.stat();
    if (!found.isFile()) throw wrong('it is no plain file');
    if ((found.mode & 0o077) !== 0) throw wrong('others may read the password: chmod 0600');
    if (found.size > MAX_BYTES) throw wrong(`a password is at most ${MAX_BYTES} bytes long`);
    const password = (await opened.readFile('utf8')).replace(/\r?\n$/, '');
    if (password === '') throw wrong('it is empty');
    return password;
  } finally {
    await opened.close();
  }
}
