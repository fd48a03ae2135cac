import { done, libc } from './libc.ts';

const CLONE_FILES = 0x400;
const SIGCHLD = 17;
const READ_WRITE = 3;
const PRIVATE_ANONYMOUS = 0x22;
const STACK_BYTES = 64 * 1024;
const SIG_SETMASK = 2;
const SIGNAL_SET_BYTES = 128;

/**
 * Starts a process that shares this one's descriptor table, so that every descriptor opened here stays open
 * while either lives. It only waits in the C library's `pause`, because V8's code is not in its copy of the
 * memory. Only SIGKILL reaches it: its copy of libuv's handlers would report other signals to this process.
 * Returns its pid.
 */
export function beginSharer(): number {
  const stack = done('mmap', libc().mmap(0, STACK_BYTES, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0));
  const before = Buffer.alloc(SIGNAL_SET_BYTES);
  const all = Buffer.alloc(SIGNAL_SET_BYTES, 0xff);
  const pause = libc().dlsym(0, 'pause');
  done('sigprocmask', libc().sigprocmask(SIG_SETMASK, all, before));
  try {
    const pid = done('clone', libc().clone(pause, stack + STACK_BYTES, CLONE_FILES | SIGCHLD, 0));
    // A signal to this process's group must not end it.
    libc().setpgid(pid, pid);
    return pid;
  } finally {
    libc().sigprocmask(SIG_SETMASK, before, null);
    libc().munmap(stack, STACK_BYTES);
  }
}

export function reap(pid: number): void {
  libc().waitpid(pid, null, 1);
}
