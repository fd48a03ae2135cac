import { constants, type Stats } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { memorySocket, type MemorySockets, type SocketUser } from './managed.ts';
import { checkSocketPath } from '../protocol/socket-path.ts';
import { toGodwitError } from '../errors.ts';
import { giveSocket, userOfDirectory } from '../system/files/checked-open.ts';

/** Where Godwit and a manager of this host exchange the memory of guests. */

/** As long as the longest that a migration has. */
const ID = 'm-0123456789abcde';
/** Bits of a mode, for one class of users: to make and remove what is in a directory, and to pass through it. */
const MAKE = 0o3;
const PASS = 0o1;

/** Why no socket for a guest of `from` can be made or reached there; undefined where one can. */
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

/** Lets the hypervisor connect to a socket of this process. A process that may give nothing away leaves it to the manager. */
export function openToUser(socket: string, user: SocketUser | undefined): void {
  const own = process.geteuid?.();
  if (user !== undefined && own === 0 && user.uid !== own) giveSocket(socket, user);
}

/** Why that user can make no socket there; undefined where nothing forbids it, or nobody knows the user. */
async function whyNotUsed(
  { place, directory }: MemorySockets,
  user: SocketUser | undefined,
): Promise<string | undefined> {
  if (user === undefined) return undefined;
  const real = await realpath(directory);
  const found = await stat(real);
  const owner = userOfDirectory(found);
  // A receiver takes no other user's socket for that of its hypervisor.
  if (owner !== user.uid)
    return `it is of uid ${owner}, and its hypervisor runs as uid ${user.uid}`;
  const whose = `its hypervisor runs as uid ${user.uid}, which may not`;
  if (!may(user, MAKE, found)) return `${whose} make sockets in it`;
  // Where the manager has other mounts, it reaches the directory by a path that is not seen here.
  if (place !== directory) return undefined;
  for (let above = path.dirname(real); ; above = path.dirname(above)) {
    if (!may(user, PASS, await stat(above))) return `${whose} pass through ${above}`;
    if (above === '/') return undefined;
  }
}

/** A user may be in groups that are not known here: what a group may do is taken for allowed then. */
function may(user: SocketUser, wanted: number, { uid, gid, mode }: Stats): boolean {
  if (user.uid === 0) return true;
  const has = (bits: number): boolean => (bits & wanted) === wanted;
  if (user.uid === uid) return has(mode >> 6);
  return has(mode >> 3) || (user.gid !== gid && has(mode));
}
