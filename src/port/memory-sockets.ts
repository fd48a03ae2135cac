import { constants, type Stats } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { memorySocket, type MemorySockets, type SocketUser } from './managed.ts';
import { checkSocketPath } from '../protocol/socket-path.ts';
import { toGodwitError } from '../errors.ts';
import { giveSocket, userOfDirectory } from '../system/files/checked-open.ts';

/** Checks and opens the sockets through which Godwit and a manager of this host exchange guest memory. */

/** Length of the longest migration id. */
const ID = 'm-0123456789abcde';
/** Mode bits of one class of users: write and enter a directory, and enter it. */
const MAKE = 0o3;
const PASS = 0o1;

/** Reason why a socket for a guest of `from` cannot be made or reached there. */
export async function whyNoSockets(
  { place, directory, user }: MemorySockets,
  from: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    for (const each of [place, directory]) checkSocketPath(memorySocket(each, { id: ID, from }));
    await access(directory, constants.W_OK | constants.X_OK);
    const why = await whyNotUsed({ place, directory }, await user?.(signal));
    return why === undefined ? undefined : `${directory} cannot be used for sockets: ${why}`;
  } catch (thrown) {
    signal.throwIfAborted();
    return `${directory} cannot be used for sockets: ${toGodwitError(thrown).message}`;
  }
}

/**
 * Lets the hypervisor connect to a socket of this process. Without the right to change owners, this is left to the
 * manager.
 */
export function openToUser(socket: string, user: SocketUser | undefined): void {
  const own = process.geteuid?.();
  if (user !== undefined && own === 0 && user.uid !== own) giveSocket(socket, user);
}

/** Reason why that user cannot make a socket there, if one is known. */
async function whyNotUsed(
  { place, directory }: MemorySockets,
  user: SocketUser | undefined,
): Promise<string | undefined> {
  if (user === undefined) return undefined;
  const real = await realpath(directory);
  const found = await stat(real);
  const owner = userOfDirectory(found);
  // A receiver rejects sockets of other users.
  if (owner !== user.uid)
    return `it is of uid ${owner}, and its hypervisor runs as uid ${user.uid}`;
  const whose = `its hypervisor runs as uid ${user.uid}, which may not`;
  if (!may(user, MAKE, found)) return `${whose} make sockets in it`;
  // A manager with other mounts reaches the directory by a path that is not visible here.
  if (place !== directory) return undefined;
  for (let above = path.dirname(real); ; above = path.dirname(above)) {
    if (!may(user, PASS, await stat(above))) return `${whose} pass through ${above}`;
    if (above === '/') return undefined;
  }
}

/** The user's groups are unknown, so group permissions count as granted. */
function may(user: SocketUser, wanted: number, { uid, gid, mode }: Stats): boolean {
  if (user.uid === 0) return true;
  const has = (bits: number): boolean => (bits & wanted) === wanted;
  if (user.uid === uid) return has(mode >> 6);
  return has(mode >> 3) || (user.gid !== gid && has(mode));
}
