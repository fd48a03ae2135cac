import { done, libc } from './libc.ts';

const CLONE_FILES = 0x400;
const SIGCHLD = 17;
const READ_WRITE = 3;
const PRIVATE_ANONYMOUS = 0x22;
const STACK_BYTES = 64 * 1024;
const SIG_SETMASK = 2;
const SIGNAL_SET_BYTES = 128;

/**
 * Begins a process that shares this one's table of descriptors: each that is opened here, at any time, stays open as long as
 * one of both lives. It does nothing but wait, in the C library's `pause`: V8's code is not in the copy of the memory that it
 * has. Of signals it takes SIGKILL alone: its copy of libuv's handlers would tell this process of any other. Returns its number.
 */
export function beginSharer(): number {
  const stack = done('mmap', libc().mmap(0, STACK_BYTES, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0));
  const before = Buffer.alloc(SIGNAL_SET_BYTES);
  const all = Buffer.alloc(SIGNAL_SET_BYTES, 0xff);
  const pause = libc().dlsym(0, 'pause');
  done('sigprocmask', libc().sigprocmask(SIG_SETMASK, all, before));
  try {
    const pid = done('clone', libc().clone(pause, stack + STACK_BYTES, CLONE_FILES | SIGCHLD, 0));
    // What is meant for the whole group of this process does not end it.
    libc().setpgid(pid, pid);
    return pid;
  } finally {
    libc().sigprocmask(SIG_SETMASK, before, null);
    libc().munmap(stack, STACK_BYTES);
  }
}

/** Of a child that has ended. */
export function reap(pid: number): void {
  libc().waitpid(pid, null, 1);
}
