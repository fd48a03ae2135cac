import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import type { BootTime } from '../../migration/boot-time.ts';
import { uptime } from 'node:os';

/** The kernel's clock for processes (`getconf CLK_TCK`); the same on every x86-64. */
export const MS_PER_TICK = 10;

/** A process that cannot be mistaken for a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in clock ticks since boot. */
  readonly startTicks: number;
}

/** What the kernel says of a living process. */
export interface ProcessStat {
  /** One letter: R runs, S sleeps, T is stopped, ... */
  readonly state: string;
  readonly startTicks: number;
}

/** What a line of /proc/PID/stat says, of a process that may have ended. */
export interface StatLine extends ProcessStat {
  /** Field 4: the process that started it, or that took it over. */
  readonly parent: number;
  /** Field 9: PF_ of linux/sched.h. */
  readonly flags: number;
  /** Field 6: the process that leads its session. */
  readonly session: number;
  /** Fields 14 and 15: what it has used of processors, its own time and the kernel's for it, clock ticks. */
  readonly usedTicks: number;
  /** Fields 16 and 17: the same of its children that have ended. */
  readonly childrenTicks: number;
  /**
   * A killed process is a zombie as soon as its first thread has ended, and holds its files, with the locks on a guest's
   * images, until the last one has.
   */
  readonly hasEnded: boolean;
}

/** The state, and the numbers that are read, in the order of proc_pid_stat(5). */
const FIELDS = [3, 4, 6, 9, 14, 15, 16, 17, 20, 22];

/** What a line of /proc/PID/stat says; undefined for what is no such line. */
export function readStat(text: string): StatLine | undefined {
  // Field 2 is the program's name in brackets, which may itself hold spaces and brackets.
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

/** The same of a living process; undefined when it has ended. */
export function parseStat(text: string): ProcessStat | undefined {
  const line = readStat(text);
  if (line === undefined || line.hasEnded) return undefined;
  return { state: line.state, startTicks: line.startTicks };
}

/** The living process with that pid. */
function statOf(pid: number): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Every process of this host. */
export function pids(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
}

/** Whether a process has a file open of which that is so; false where this user may not see its files. */
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

/** Start time of a living process, in clock ticks since boot; with the pid it names one process for good. */
export function startTicksOf(pid: number): number | undefined {
  return statOf(pid)?.startTicks;
}

/** This process. */
export function ownIdentity(): ProcessIdentity {
  const { pid } = process;
  const startTicks = startTicksOf(pid);
  if (startTicks === undefined) throw new Error(`/proc/${pid}/stat does not say when it started`);
  return { pid, startTicks };
}

/** True while that very process lives: a pid is used again. */
export function isAlive({ pid, startTicks }: ProcessIdentity): boolean {
  return startTicksOf(pid) === startTicks;
}

/** True while that very process lives and somebody has stopped it. */
export function isStopped({ pid, startTicks }: ProcessIdentity): boolean {
  const stat = statOf(pid);
  return stat?.startTicks === startTicks && stat.state === 'T';
}

/** Kills it, where it has not ended. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** Kills its whole process group, where any of it is left; undefined: it was never started. */
export function killGroup(pid: number | undefined): void {
  if (pid !== undefined) kill(-pid);
}

/** Now, by the clock of this boot (CLOCK_BOOTTIME): nobody sets it, and it counts the time that the host was suspended. */
export function bootTime(): BootTime {
  return { bootId: hostBoot(), uptimeMs: uptime() * 1000 };
}

/** Names the time since this kernel was last started: with a pid and its start it names one process for good. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Of the first PID namespace of a kernel (PROC_PID_INIT_INO). */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

/**
 * Names the time since this host was last started. The kernel's boot id does not name it for a host that is a container:
 * what was stopped and started on one kernel was off in between. There the start of its first process goes with it.
 */
export function hostBoot(): string {
  return bootName(bootId(), linkOf('/proc/self/ns/pid'), startTicksOf(1));
}

/** Its parts as read; throws where a container does not show its first process. */
export function bootName(kernel: string, namespace: string, firstStarted?: number): string {
  if (namespace === FIRST_PID_NAMESPACE) return kernel;
  if (firstStarted !== undefined) return `${kernel}.${firstStarted}`;
  throw new Error('/proc/1/stat does not say when the first process of this container started');
}
