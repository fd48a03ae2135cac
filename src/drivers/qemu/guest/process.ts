import { readFileSync } from 'node:fs';
import { readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import { godwitError } from '../../../errors.ts';
import {
  hasBegunToEnd,
  isEnding,
  lifeOf,
  lifeOfPid,
  type BootProcess,
} from '../../../system/processes/life.ts';
import { bootId, pids, startTicksOf } from '../../../system/processes/process.ts';
import { endingMs } from '../../../migration/direct/source/ending-times.ts';

import { judgeEnd, type MonitorProcess } from '../qmp/monitor-end.ts';
import type { QemuHandle } from '../handle.ts';

export interface QemuProcess extends BootProcess {
  /** Program, such as `/usr/bin/qemu-system-x86_64`; empty if it may not be read. */
  readonly binary: string;
  readonly argv: readonly string[];
  readonly cwd: string;
}

const MAX_COMMAND_LINE = 1024 * 1024;

/**
 * All QEMU system emulators in our network namespace. Omits processes that end during the look, and other users'
 * processes that we may not see. Any other read failure is an error, because a guest that is missing in the list
 * might be started again.
 */
export async function listQemuProcesses(signal: AbortSignal): Promise<QemuProcess[]> {
  const ours = await readlink('/proc/self/ns/net');
  const found = await Promise.all(pids().map((pid) => qemuProcessAt(pid, ours)));
  signal.throwIfAborted();
  return found.filter((each) => each !== undefined);
}

export async function qemuProcessAt(
  pid: number,
  namespace: string,
): Promise<QemuProcess | undefined> {
  try {
    const command = await readFile(`/proc/${pid}/comm`, 'utf8');
    // The kernel cuts names at 15 characters. A wrapper's exec keeps the program's name; `-name process=` changes
    // it.
    if (!/^(qemu|kvm)/.test(command) && !(await isQemuByProgram(pid))) return undefined;
    if ((await readlink(`/proc/${pid}/ns/net`)) !== namespace) return undefined;
    return await readProcess(pid);
  } catch (error) {
    // The kernel dismantles a process in pieces: its namespaces disappear before its pid.
    if (isForbidden(error) || hasBegunToEnd(pid)) return undefined;
    throw error;
  }
}

/** A kernel thread, or another user's process whose program we may not see, is not one of our QEMUs. */
async function isQemuByProgram(pid: number): Promise<boolean> {
  const program = await readlink(`/proc/${pid}/exe`).catch(() => '');
  return isSystemEmulator('', program);
}

/** Undefined if there is no such process or it is not a system emulator; throws if that cannot be seen. */
export async function readProcess(pid: number): Promise<QemuProcess | undefined> {
  try {
    const startTicks = startTicksOf(pid);
    const boot = bootId();
    const [raw, binary, cwd] = await Promise.all([
      readFile(`/proc/${pid}/cmdline`),
      readlink(`/proc/${pid}/exe`).catch(() => ''),
      readlink(`/proc/${pid}/cwd`).catch(() => '/'),
    ]);
    const argv = splitCommandLine(raw);
    if (!isSystemEmulator(argv[0] ?? '', binary)) return undefined;
    if (raw.length > MAX_COMMAND_LINE) return undefined;
    if (startTicks === undefined) return unseen(pid);
    const program = binary.replace(/ \(deleted\)$/, '');
    return { pid, startTicks, bootId: boot, binary: program, argv, cwd };
  } catch (error) {
    if (lifeOfPid(pid).state === 'gone') return undefined;
    throw error;
  }
}

function unseen(pid: number): undefined {
  if (lifeOfPid(pid).state === 'gone') return undefined;
  throw godwitError('GODWIT_INTERNAL', { what: `what runs as process ${pid} cannot be read` });
}

function isForbidden(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(EACCES|EPERM)$/.test(String(error.code));
}

export function monitorProcess(identity: BootProcess): MonitorProcess {
  return { life: () => lifeOf(identity), isEnding: () => isEnding(identity) };
}

/**
 * Process of a source's handle. Throws GODWIT_HYPERVISOR_LOST if it is gone, GODWIT_MONITOR_UNREACHABLE if its
 * state or program cannot be seen.
 */
export async function processOf(handle: QemuHandle, host: string): Promise<QemuProcess> {
  const life = lifeOf(handle);
  const owner = {
    host,
    guest: handle.name,
    side: 'source',
    process: monitorProcess(handle),
  } as const;
  if (life.state !== 'alive') throw await judgeEnd({ ...owner, endsMs: 0 }, life.reason);
  const process = await readProcess(handle.pid).catch(() => undefined);
  if (process?.startTicks === handle.startTicks) return process;
  throw await judgeEnd(owner, `its process ${handle.pid} could not be read`);
}

export function splitCommandLine(raw: Buffer): string[] {
  const text = raw.toString('utf8');
  return (text.endsWith('\0') ? text.slice(0, -1) : text).split('\0');
}

export function isSystemEmulator(command: string, binary: string): boolean {
  return [command, binary.replace(/ \(deleted\)$/, '')].some((file) =>
    /^(qemu-system-[a-z0-9_]+|qemu-kvm|kvm)$/.test(path.basename(file)),
  );
}

/** Resolves once the kernel reports that the process is gone; GODWIT_DEADLINE if it stays or cannot be seen. */
export async function waitForExit(
  identity: BootProcess,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<void> {
  const until = performance.now() + deadlineMs;
  while (lifeOf(identity).state !== 'gone') {
    signal.throwIfAborted();
    if (performance.now() > until) {
      throw godwitError('GODWIT_DEADLINE', {
        what: `the end of process ${identity.pid}`,
        deadlineMs,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * Extra time for a process to disappear, ms: the kernel frees its memory page by page. Must be called while it
 * lives; 0 if it is already ending.
 */
export function endingMsOf({ pid }: BootProcess): number {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return endingMs(Number(kib ?? 0) * 1024);
  } catch {
    return 0;
  }
}

/**
 * Kills the process; does nothing if it is gone. Throws GODWIT_DEADLINE without an effect if it cannot be seen
 * whether the pid still belongs to this process. `deadlineMs` excludes the time to free memory.
 */
export async function killProcess(
  identity: BootProcess,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<void> {
  const life = lifeOf(identity);
  if (life.state === 'gone') return;
  const allowedMs = deadlineMs + endingMsOf(identity);
  if (life.state === 'alive') {
    try {
      process.kill(identity.pid, 'SIGKILL');
    } catch (error) {
      if (!isNoSuchProcess(error)) throw error;
    }
  }
  await waitForExit(identity, allowedMs, signal);
}

function isNoSuchProcess(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ESRCH';
}

/** True if the process runs as root or as our user, if we are root, or if it has ended. */
export function runsAsOurUser(pid: number): boolean {
  const own = process.geteuid?.();
  const user = userOf(pid);
  return own === 0 || user === 0 || user === own;
}

/** Effective user of a process; our own user if it has ended or may not be seen. */
export function userOf(pid: number): number {
  const own = process.geteuid?.() ?? 0;
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1] ?? own);
  } catch {
    return own;
  }
}
