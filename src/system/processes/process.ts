import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import type { BootTime } from '../../migration/boot-time.ts';
import { uptime } from 'node:os';

/** Length of a clock tick (`getconf CLK_TCK`), the same on every x86-64. */
export const MS_PER_TICK = 10;

/** Identifies a process uniquely, even if its pid is reused. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in clock ticks since boot. */
  readonly startTicks: number;
}

export interface ProcessStat {
  /** One letter: R runs, S sleeps, T is stopped, ... */
  readonly state: string;
  readonly startTicks: number;
}

/** A line of /proc/PID/stat; the process may have ended. */
export interface StatLine extends ProcessStat {
  /** Field 4: parent pid. */
  readonly parent: number;
  /** Field 9: PF_ of linux/sched.h. */
  readonly flags: number;
  /** Field 6: session leader. */
  readonly session: number;
  /** Fields 14 and 15: user and system time, clock ticks. */
  readonly usedTicks: number;
  /** Fields 16 and 17: the same of reaped children. */
  readonly childrenTicks: number;
  /**
   * A killed process becomes a zombie when its first thread ends, but holds its files, with the locks on a guest's
   * images, until the last thread has ended.
   */
  readonly hasEnded: boolean;
}

/** State and numbers in the order of proc_pid_stat(5). */
const FIELDS = [3, 4, 6, 9, 14, 15, 16, 17, 20, 22];

export function readStat(text: string): StatLine | undefined {
  // Field 2 is the program's name in brackets, which may itself contain spaces and brackets.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state = '', ...counts] = FIELDS.map((field) => fields[field - 3] ?? '');
  if (!/^[A-Za-z]$/.test(state) || !counts.every((each) => /^\d+$/.test(each))) return undefined;
  const [
    parent = 0,
    session = 0,
    flags = 0,
    user = 0,
    kernel = 0,
    childrenUser = 0,
    childrenKernel = 0,
    threads = 0,
    startTicks = 0,
  ] = counts.map(Number);
  const hasEnded = (state === 'Z' || state === 'X') && !(threads > 1);
  return {
    state,
    startTicks,
    parent,
    flags,
    session,
    usedTicks: user + kernel,
    childrenTicks: childrenUser + childrenKernel,
    hasEnded,
  };
}

/** Like `readStat`; undefined if the process has ended. */
export function parseStat(text: string): ProcessStat | undefined {
  const line = readStat(text);
  if (line === undefined || line.hasEnded) return undefined;
  return { state: line.state, startTicks: line.startTicks };
}

function statOf(pid: number): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}

export function pids(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
}

/** Tells whether a process has an open file that matches; false without permission. */
export function opens(pid: number, isIt: (target: string) => boolean): boolean {
  const dir = `/proc/${pid}/fd`;
  try {
    return readdirSync(dir).some((fd) => isIt(linkOf(`${dir}/${fd}`)));
  } catch {
    return false;
  }
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}

/** Start time of a live process, in clock ticks since boot; unique with the pid. */
export function startTicksOf(pid: number): number | undefined {
  return statOf(pid)?.startTicks;
}

export function ownIdentity(): ProcessIdentity {
  const { pid } = process;
  const startTicks = startTicksOf(pid);
  if (startTicks === undefined) throw new Error(`/proc/${pid}/stat does not say when it started`);
  return { pid, startTicks };
}

/** True while that process lives, since pids are reused. */
export function isAlive({ pid, startTicks }: ProcessIdentity): boolean {
  return startTicksOf(pid) === startTicks;
}

export function isStopped({ pid, startTicks }: ProcessIdentity): boolean {
  const stat = statOf(pid);
  return stat?.startTicks === startTicks && stat.state === 'T';
}

/** Ignores an ended process. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** Kills the process group, if any of it is left; undefined: it was never started. */
export function killGroup(pid: number | undefined): void {
  if (pid !== undefined) kill(-pid);
}

/** Time since boot (CLOCK_BOOTTIME), which cannot be set and includes suspension. */
export function bootTime(): BootTime {
  return { bootId: hostBoot(), uptimeMs: uptime() * 1000 };
}

/** Identifies the kernel's boot; with pid and start time it identifies a process. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** The kernel's initial PID namespace (PROC_PID_INIT_INO). */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

/**
 * Identifies the host's boot. A container may be restarted under the same kernel, so there the start of its first
 * process is added.
 */
export function hostBoot(): string {
  return bootName(bootId(), linkOf('/proc/self/ns/pid'), startTicksOf(1));
}

/** Throws if a container hides its first process. */
export function bootName(kernel: string, namespace: string, firstStarted?: number): string {
  if (namespace === FIRST_PID_NAMESPACE) return kernel;
  if (firstStarted !== undefined) return `${kernel}.${firstStarted}`;
  throw new Error('/proc/1/stat does not say when the first process of this container started');
}
