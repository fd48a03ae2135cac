import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { memorySocket } from '../drivers/port/managed.ts';
import type { MemorySockets } from '../drivers/port/managed.ts';
import { checkSocketPath } from '../protocol/socket-path.ts';
import { toGodwitError } from '../errors.ts';

/** Where Godwit and a manager of this host exchange the memory of guests. */

/** As long as the longest that a migration has. */
const ID = 'm-0123456789abcde';

/** Why no socket for a guest of `from` can be made or reached there; undefined where one can. */
export async function whyNoSockets(
  { place, directory }: MemorySockets,
  from: string,
): Promise<string | undefined> {
  try {
    for (const each of [place, directory]) checkSocketPath(memorySocket(each, { id: ID, from }));
    await access(directory, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (thrown) {
    return `${directory} cannot be used for sockets: ${toGodwitError(thrown).message}`;
  }
}
