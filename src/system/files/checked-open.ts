import {
  chownSync,
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  statSync,
  type Stats,
} from 'node:fs';
import { open } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';

/**
 * Files and sockets at places where another user may have put something else: a link, a pipe that nobody writes to, a
 * device that acts when it is opened, somebody else's socket. What is there is looked at first, and then used by the
 * very inode that was looked at. Links are not followed.
 */

/** Finds the inode, and neither opens it nor follows a link (O_PATH of linux/fcntl.h, which Node does not name). */
const FIND = 0o10000000 | constants.O_NOFOLLOW;

/** Whether what was found is what may be used; if not, the reason in words. */
type Judge = (found: Stats) => string | undefined;

/** Opens what is there, if `judge` finds nothing against it. Throws with its words else, or as openSync does. */
export function openFound(file: string, flags: number, judge: Judge): number {
  return withFound(file, judge, (at) => openSync(at, flags));
}

function withFound<T>(file: string, judge: Judge, use: (at: string, fd: number) => T): T {
  const fd = openSync(file, FIND);
  try {
    const why = judge(fstatSync(fd));
    if (why !== undefined) throw new Error(`${file} is ${why}`);
    return use(`/proc/self/fd/${fd}`, fd);
  } finally {
    closeSync(fd);
  }
}

export const isPlain: Judge = (found) => (found.isFile() ? undefined : 'no plain file');

/** The last `most` bytes of a plain file. Throws as openFound does. */
export function readEnd(file: string, most: number): string {
  const fd = openFound(file, constants.O_RDONLY | constants.O_NONBLOCK, isPlain);
  try {
    const from = Math.max(0, fstatSync(fd).size - most);
    const bytes = Buffer.alloc(most);
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, most, from));
  } finally {
    closeSync(fd);
  }
}

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Opens a directory that this process's user owns, and calls `use` with a path to that very inode, valid until `use`
 * ends: whoever replaces the directory meanwhile changes nothing. Only the last part of the path may be another user's
 * to replace; O_NOFOLLOW does not cover the parts before it. Throws as `open` does (ENOTDIR for a link).
 */
export async function inOwnDirectory<T>(
  directory: string,
  use: (at: string) => Promise<T>,
): Promise<T> {
  const handle = await open(directory, DIRECTORY);
  try {
    const own = process.geteuid?.();
    const { uid } = await handle.stat();
    if (uid !== own)
      throw new Error(`${directory} is a directory of uid ${uid}, not of uid ${own}`);
    return await use(`/proc/self/fd/${handle.fd}`);
  } finally {
    await handle.close();
  }
}

/** Who must have made a socket: this user; `directory`: whom its directory is for; `anybody`: not known yet. */
export type SocketOwner = number | 'directory' | 'anybody';

/**
 * Connects to a socket of that user. A process that may write to the directory may have put a link to another socket, or
 * another name of it, in its place: then the connection fails, and not a byte is sent.
 */
export function connectSocket(
  file: string,
  owner: SocketOwner,
  options: { readonly allowHalfOpen?: boolean; readonly socket?: net.Socket } = {},
): net.Socket {
  const { socket = new net.Socket({ allowHalfOpen: options.allowHalfOpen ?? false }) } = options;
  try {
    return withFound(file, socketOf(file, owner), (at, fd) => {
      // The kernel looks the path up within this call.
      socket.connect({ path: at });
      socket.prependOnceListener('error', (error) => {
        error.message = error.message.replace(`/proc/self/fd/${fd}`, file);
      });
      return socket;
    });
  } catch (error) {
    return socket.destroy(error as Error);
  }
}

/** Gives a socket that this user has made to another one. Throws where something else is in its place. */
export function giveSocket(
  file: string,
  { uid, gid }: { readonly uid: number; readonly gid: number },
): void {
  const own = process.geteuid?.() ?? 0;
  const isOurs: Judge = (found) => {
    if (!found.isSocket()) return 'no socket';
    return found.uid === own && found.nlink === 1 ? undefined : 'another socket';
  };
  withFound(file, isOurs, (at) => chownSync(at, uid, gid));
}

function socketOf(file: string, owner: SocketOwner): Judge {
  return (found) => {
    if (!found.isSocket()) return found.isSymbolicLink() ? 'a link, no socket' : 'no socket';
    if (owner === 'anybody') return undefined;
    const directory = statSync(path.dirname(file));
    const uid = owner === 'directory' ? userOfDirectory(directory) : owner;
    if (found.uid === uid) return undefined;
    if (owner !== 'directory' && isKeptByRoot(found, directory)) return undefined;
    return `a socket of uid ${found.uid}, not of uid ${uid}`;
  };
}

/** A directory that its group may write to is that of a guest, whose user has the number of its group. */
export function userOfDirectory({ uid, gid, mode }: Stats): number {
  return (mode & 0o020) === 0 ? uid : gid;
}

/** Made by root, and nobody else can have put it there: of a program that was root when it began to listen. */
function isKeptByRoot(found: Stats, { uid, mode }: Stats): boolean {
  const isKept = (mode & 0o022) === 0 || (mode & 0o1002) === 0o1002;
  return found.uid === 0 && found.nlink === 1 && uid === 0 && isKept;
}
