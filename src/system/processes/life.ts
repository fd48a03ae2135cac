import { readFileSync } from 'node:fs';
import { bootId, readStat, type ProcessIdentity } from './process.ts';

/**
 * The state of a process. Only `gone`, which the kernel proves for that process, permits acting as if it ran nothing.
 * `unknown` permits nothing.
 */
export type Life =
  | { readonly state: 'alive' }
  | { readonly state: 'gone' | 'unknown'; readonly reason: string };

/** Identifies a process uniquely, even across restarts of the host. */
export interface BootProcess extends ProcessIdentity {
  /** The host's boot at its start. Absent in records of earlier versions. */
  readonly bootId?: string | undefined;
}

export interface Kernel {
  stat(pid: number): string;
  /** Signal 0: throws ESRCH if no process has that pid. */
  probe(pid: number): void;
  bootId(): string;
}

const KERNEL: Kernel = {
  stat: (pid) => readFileSync(`/proc/${pid}/stat`, 'utf8'),
  probe: (pid) => void process.kill(pid, 0),
  bootId,
};

/** Flag of an ending process in field 9 of /proc/PID/stat (PF_EXITING of linux/sched.h). */
const EXITING = 0x4;

/**
 * Judges a process by pid, start time and boot. Without a boot the other two decide: if no process has that pid and
 * start time, it has ended in any boot.
 */
export function lifeOf({ pid, startTicks, bootId: boot }: BootProcess, kernel = KERNEL): Life {
  const seen = look(pid, kernel);
  if (seen.state === 'gone') return seen;
  const now = boot === undefined ? undefined : currentBoot(kernel);
  if (now !== undefined && now !== boot) {
    return { state: 'gone', reason: `process ${pid} was of an earlier boot of this host` };
  }
  if (seen.state !== 'there') return seen;
  if (seen.startTicks !== startTicks) {
    return { state: 'gone', reason: `process ${pid} has ended, and another has its number` };
  }
  if (boot === undefined || now !== undefined) return { state: 'alive' };
  return { state: 'unknown', reason: 'which boot of this host this is cannot be read' };
}

/** Tells whether any process has that pid. */
export function lifeOfPid(pid: number, kernel = KERNEL): Life {
  const seen = look(pid, kernel);
  return seen.state === 'there' ? { state: 'alive' } : seen;
}

/** Tells whether that process is ending or has ended, so it runs nothing. False if unknown. */
export function isEnding(identity: BootProcess, kernel = KERNEL): boolean {
  return lifeOf(identity, kernel).state === 'gone' || hasBegunToEnd(identity.pid, kernel);
}

/** Like `isEnding` for whatever process has that pid. A single look, because a live process may end between two. */
export function hasBegunToEnd(pid: number, kernel = KERNEL): boolean {
  try {
    const stat = readStat(kernel.stat(pid));
    return stat !== undefined && (stat.hasEnded || (stat.flags & EXITING) !== 0);
  } catch {
    return isNoProcess(pid, kernel);
  }
}

type ProcessLook =
  | { readonly state: 'there'; readonly startTicks: number }
  | { readonly state: 'gone' | 'unknown'; readonly reason: string };

function look(pid: number, kernel: Kernel): ProcessLook {
  let line: string;
  try {
    line = kernel.stat(pid);
  } catch (error) {
    // A missing /proc, or one that hides other users' processes, has no such file either.
    if (isNoProcess(pid, kernel)) return { state: 'gone', reason: `process ${pid} has ended` };
    return { state: 'unknown', reason: `process ${pid} cannot be seen (${wordOf(error)})` };
  }
  const stat = readStat(line);
  if (stat === undefined) {
    return { state: 'unknown', reason: `what the kernel says of process ${pid} cannot be read` };
  }
  if (stat.hasEnded) return { state: 'gone', reason: `process ${pid} has ended` };
  return { state: 'there', startTicks: stat.startTicks };
}

function isNoProcess(pid: number, kernel: Kernel): boolean {
  try {
    kernel.probe(pid);
    return false;
  } catch (error) {
    return wordOf(error) === 'ESRCH';
  }
}

function currentBoot(kernel: Kernel): string | undefined {
  try {
    return kernel.bootId();
  } catch {
    return undefined;
  }
}

function wordOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
