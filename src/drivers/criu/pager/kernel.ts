import { ftruncateSync, readlinkSync } from 'node:fs';
import { PAGE } from '../pages/memory.ts';
import { done, errno, KernelError, libc, viewOf } from './libc.ts';

/** Pager's kernel interfaces: userfaultfds and descriptors of other processes. */

const PIDFD_SEND_SIGNAL = 424;
const PIDFD_OPEN = 434;
const PIDFD_GETFD = 438;
const USERFAULTFD = process.arch === 'arm64' ? 282 : 323;
const POLLIN = 1;
const F_DUPFD_CLOEXEC = 1030;
const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const FALLOC_FL_KEEP_SIZE = 1;
const MFD_CLOEXEC = 1;

const UFFDIO_API = 0xc018aa3f;
const UFFDIO_WAKE = 0x8010aa02;
const UFFDIO_COPY = 0xc028aa03;
const UFFDIO_ZEROPAGE = 0xc020aa04;
const UFFDIO_CONTINUE = 0xc020aa07;
const UFFD_API = 0xaan;
/** Events of fork, mremap, madvise and munmap; the process waits until each is read. */
const EVENTS = 0x2n | 0x4n | 0x8n | 0x40n;
const MESSAGE_BYTES = 32;
const MIN_ADDRESS = 0x10000;
const MAX_ADDRESS = process.arch === 'arm64' ? 2 ** 48 : 2 ** 47 - PAGE;

export const ERRNO = {
  ENOENT: 2,
  ESRCH: 3,
  EAGAIN: 11,
  ENOMEM: 12,
  EEXIST: 17,
  ENFILE: 23,
  EMFILE: 24,
  ENOSPC: 28,
  ENOSYS: 38,
  EOPNOTSUPP: 95,
} as const;

/** Throws if this process may not give pages. */
export function kernelGivesPages(): void {
  close(openUserfaultfd());
}

/** userfaultfd with all events for a pager; throws if this process gets none. */
export function openUserfaultfd(): number {
  const fd = done('userfaultfd', libc().syscall(USERFAULTFD, O_CLOEXEC | O_NONBLOCK, 0, 0, 0, 0));
  const api = Buffer.alloc(24);
  api.writeBigUInt64LE(UFFD_API, 0);
  api.writeBigUInt64LE(EVENTS, 8);
  try {
    done('UFFDIO_API', libc().ioctl(fd, UFFDIO_API, api));
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

export type Message =
  | { readonly type: 'fault'; readonly address: number }
  | { readonly type: 'fork'; readonly fd: number }
  | { readonly type: 'move'; readonly from: number; readonly to: number; readonly bytes: number }
  | { readonly type: 'drop'; readonly from: number; readonly to: number };

/** Reads the next message of a non-blocking userfaultfd; false if there is none. */
export function readMessage(fd: number, at: bigint): boolean {
  if (libc().read(fd, at, MESSAGE_BYTES) >= 0) return true;
  if (errno() === ERRNO.EAGAIN) return false;
  throw new KernelError('read', errno());
}

export function messageIn(message: Buffer): Message {
  const at = (offset: number): number => Number(message.readBigUInt64LE(offset));
  switch (message[0]) {
    case 0x12:
      return { type: 'fault', address: at(16) - (at(16) % PAGE) };
    case 0x13:
      return { type: 'fork', fd: message.readUInt32LE(8) };
    case 0x14:
      return { type: 'move', from: at(8), to: at(16), bytes: at(24) };
    case 0x15:
    case 0x16:
      return { type: 'drop', from: at(8), to: at(16) };
    default:
      throw new Error(`a userfaultfd says ${message[0]}`);
  }
}

export interface PageCopyResult {
  readonly bytes: number;
  /** 0: complete. EEXIST: the next page is already present. */
  readonly errno: number;
}

export function givePages(fd: number, to: number, from: bigint, bytes: number): PageCopyResult {
  const copy = Buffer.alloc(40);
  copy.writeBigUInt64LE(BigInt(to), 0);
  copy.writeBigUInt64LE(from, 8);
  copy.writeBigUInt64LE(BigInt(bytes), 16);
  if (libc().ioctl(fd, UFFDIO_COPY, copy) >= 0) return { bytes, errno: 0 };
  const why = errno();
  const given = Number(copy.readBigInt64LE(32));
  return { bytes: Math.max(0, given), errno: why };
}

export function giveZeros(fd: number, to: number, bytes: number): number {
  const zero = Buffer.alloc(32);
  zero.writeBigUInt64LE(BigInt(to), 0);
  zero.writeBigUInt64LE(BigInt(bytes), 8);
  return libc().ioctl(fd, UFFDIO_ZEROPAGE, zero) < 0 ? errno() : 0;
}

/** All waiting threads fault again. */
export function wakeAll(fd: number): void {
  wake(fd, MIN_ADDRESS, MAX_ADDRESS - MIN_ADDRESS);
}

export function wake(fd: number, from: number, bytes: number): void {
  const range = Buffer.alloc(16);
  range.writeBigUInt64LE(BigInt(from), 0);
  range.writeBigUInt64LE(BigInt(bytes), 8);
  libc().ioctl(fd, UFFDIO_WAKE, range);
}

export function close(fd: number): void {
  libc().close(fd);
}

/** Moves the descriptor to a number from `least` on. */
export function raise(fd: number, least: number): number {
  const raised = copyOf(fd, least);
  libc().close(fd);
  return raised;
}

export function copyOf(fd: number, least: number): number {
  return done('fcntl', libc().fcntl(fd, F_DUPFD_CLOEXEC, least));
}

/** Replaces an open descriptor, so that no further number is needed; closes the given one. */
export function putAt(fd: number, place: number): void {
  done('dup3', libc().dup3(fd, place, O_CLOEXEC));
  libc().close(fd);
}

/**
 * True if a userfaultfd's process has ended. Requests a file page at an impossible address, which gives nothing
 * to a live process. A kernel before 5.13 does not support the request, so it never reports an end.
 */
export function hasEnded(fd: number): boolean {
  const range = Buffer.alloc(32);
  range.writeBigUInt64LE(BigInt(MIN_ADDRESS), 0);
  range.writeBigUInt64LE(BigInt(PAGE), 8);
  return libc().ioctl(fd, UFFDIO_CONTINUE, range) < 0 && errno() === ERRNO.ESRCH;
}

/** Takes another process's descriptor, with the same number or the given one. */
export function takeFrom(pid: number, fd: number, place = fd): void {
  const from = pidfd(pid);
  try {
    const taken = done('pidfd_getfd', libc().syscall(PIDFD_GETFD, from, fd, 0, 0, 0));
    if (taken !== place) putAt(taken, place);
  } finally {
    libc().close(from);
  }
}

/** Copies another process's descriptor; undefined if it or the process is gone or not accessible. */
export function copyFrom(pid: number, fd: number): number | undefined {
  const from = Number(libc().syscall(PIDFD_OPEN, pid, 0, 0, 0, 0));
  if (from < 0) return undefined;
  const copy = Number(libc().syscall(PIDFD_GETFD, from, fd, 0, 0, 0));
  libc().close(from);
  return copy < 0 ? undefined : copy;
}

export function isUserfaultfd(fd: number): boolean {
  return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[userfaultfd]';
}

export function pidfd(pid: number): number {
  return done('pidfd_open', libc().syscall(PIDFD_OPEN, pid, 0, 0, 0, 0));
}

export function signal(process: number, which: number): void {
  libc().syscall(PIDFD_SEND_SIGNAL, process, which, 0, 0, 0);
}

/** Reserves space behind a file's contents without changing its length. 0, or the error number. */
export function reserve(fd: number, from: number, bytes: number): number {
  return libc().fallocate(fd, FALLOC_FL_KEEP_SIZE, from, bytes) < 0 ? errno() : 0;
}

/** Reserves space for a file of that length, in another thread. */
export async function reserveAll(fd: number, bytes: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  libc().posix_fallocate.async(fd, 0, bytes, (error: Error | null, result: number) => {
    if (error === null) resolve(result);
    else reject(error);
  });
  const why = await promise;
  if (why !== 0) throw new KernelError('posix_fallocate', why);
}

/** Descriptors that are readable or closed; waits up to `withinMs`, in another thread. */
export function readable(fds: readonly number[], withinMs: number): Promise<Set<number>> {
  const asked = polled(fds);
  const { promise, resolve, reject } = Promise.withResolvers<Set<number>>();
  libc().poll.async(asked, fds.length, withinMs, (error: Error | null) => {
    if (error !== null) return reject(error);
    resolve(new Set(fds.filter((_, index) => asked.readUInt16LE(index * 8 + 6) !== 0)));
  });
  return promise;
}

function polled(fds: readonly number[]): Buffer {
  const asked = Buffer.alloc(Math.max(8, fds.length * 8));
  for (const [index, fd] of fds.entries()) {
    asked.writeInt32LE(fd, index * 8);
    asked.writeUInt16LE(POLLIN, index * 8 + 4);
  }
  return asked;
}

/** Maps a file into this process for giving its pages; returns its address. */
export function mapFile(fd: number, bytes: number): bigint {
  return mapped(fd, bytes, PROT_READ);
}

export function makeMemory(name: string): number {
  const fd = done('memfd_create', libc().memfd_create(name, MFD_CLOEXEC));
  ftruncateSync(fd, PAGE);
  return fd;
}

/** Maps such a page, locked, so that the kernel can always write to it. */
export function mapShared(fd: number): { readonly at: bigint; readonly bytes: Buffer } {
  const at = mapped(fd, PAGE, PROT_READ | PROT_WRITE);
  done('mlock', libc().mlock(at, PAGE));
  return { at, bytes: viewOf(at, PAGE) };
}

function mapped(fd: number, bytes: number, protection: number): bigint {
  const at = BigInt(libc().mmap(0, bytes, protection, MAP_SHARED, fd, 0));
  if (at >= 0xffff_ffff_ffff_f000n) throw new KernelError('mmap', errno());
  return at;
}
