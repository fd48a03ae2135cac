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
 * Opens files and sockets at places that another user can change: the path may be a link, a pipe without a writer, a
 * device with side effects, or another's socket. The inode is examined first and then used itself. Links are not
 * followed.
 */

/** Finds the inode without opening it or following a link (O_PATH of linux/fcntl.h, which Node does not define). */
const FIND = 0o10000000 | constants.O_NOFOLLOW;

type Judge = (found: Stats) => string | undefined;

/** Opens the file if `judge` accepts it. Throws the judge's reason otherwise, or as openSync does. */
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
 * Opens a directory of this process's user, and calls `use` with a path to that inode, valid until `use` ends; a
 * concurrent replacement has no effect. Only the last path segment may be replaceable by another user, because
 * O_NOFOLLOW does not cover earlier ones. Throws as `open` does (ENOTDIR for a link).
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

/** Required owner of a socket: a uid; `directory`: the user of its directory; `anybody`: unknown. */
export type SocketOwner = number | 'directory' | 'anybody';

/**
 * Connects to a socket of that user. A process that can write to the directory may have put a link or another name
 * there: the connection then fails before any byte is sent.
 */
export function connectSocket(
  file: string,
  owner: SocketOwner,
  options: { readonly allowHalfOpen?: boolean; readonly socket?: net.Socket } = {},
): net.Socket {
  const { socket = new net.Socket({ allowHalfOpen: options.allowHalfOpen ?? false }) } = options;
  try {
    return withFound(file, socketOf(file, owner), (at, fd) => {
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

/** Gives a socket of this user to another user. Throws if the path has anything else. */
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

/** A group-writable directory belongs to a guest, whose uid equals the gid. */
export function userOfDirectory({ uid, gid, mode }: Stats): number {
  return (mode & 0o020) === 0 ? uid : gid;
}

/** Made by root where only root can put it: for a program that listened as root. */
function isKeptByRoot(found: Stats, { uid, mode }: Stats): boolean {
  const isKept = (mode & 0o022) === 0 || (mode & 0o1002) === 0o1002;
  return found.uid === 0 && found.nlink === 1 && uid === 0 && isKept;
}
