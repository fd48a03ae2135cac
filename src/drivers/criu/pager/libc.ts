import { nativeLibrary, type NativeLibrary } from '../../../system/native-calls.ts';

const SIGNATURES = {
  syscall: 'long syscall(long, long, long, long, long, long)',
  ioctl: 'int ioctl(int, unsigned long, void *)',
  close: 'int close(int)',
  dup3: 'int dup3(int, int, int)',
  fcntl: 'int fcntl(int, int, long)',
  poll: 'int poll(void *, unsigned long, int)',
  read: 'long read(int, unsigned long, unsigned long)',
  recv: 'long recv(int, void *, unsigned long, int)',
  recvmsg: 'long recvmsg(int, void *, int)',
  socket: 'int socket(int, int, int)',
  bind: 'int bind(int, void *, unsigned int)',
  listen: 'int listen(int, int)',
  accept: 'int accept4(int, long, long, int)',
  getsockopt: 'int getsockopt(int, int, int, void *, void *)',
  setsockopt: 'int setsockopt(int, int, int, void *, unsigned int)',
  mmap: 'unsigned long mmap(long, unsigned long, int, int, int, long)',
  waitpid: 'int waitpid(int, void *, int)',
  memfd_create: 'int memfd_create(const char *, unsigned int)',
  mlock: 'int mlock(unsigned long, unsigned long)',
  munmap: 'int munmap(unsigned long, unsigned long)',
  dlsym: 'unsigned long dlsym(long, const char *)',
  clone: 'int clone(unsigned long, unsigned long, int, long)',
  setpgid: 'int setpgid(int, int)',
  sigprocmask: 'int sigprocmask(int, void *, void *)',
  fallocate: 'int fallocate(int, int, long, long)',
  posix_fallocate: 'int posix_fallocate(int, long, long)',
} as const;
const library = nativeLibrary(SIGNATURES);

export const libc = (): NativeLibrary<keyof typeof SIGNATURES>['calls'] => library().calls;

export class KernelError extends Error {
  readonly errno: number;

  constructor(call: string, errno: number) {
    super(`${call}: errno ${errno}`);
    this.errno = errno;
  }
}

export function done(call: string, result: number | bigint): number {
  if (result < 0) throw new KernelError(call, errno());
  return Number(result);
}

export const errno = (): number => library().koffi.errno();

export const addressOf = (buffer: Buffer): bigint => BigInt(library().koffi.address(buffer));

export const viewOf = (at: bigint, bytes: number): Buffer =>
  Buffer.from(library().koffi.view(at, bytes));
