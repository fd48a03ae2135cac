import { readFile, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { godwitError } from '../../../errors.ts';
import { isAlive, startTicksOf } from '../../../host/process.ts';
import type { ProcessIdentity } from '../../../host/process.ts';

/** A QEMU process of this host (of our network namespace), as the kernel shows it. */
export interface QemuProcess extends ProcessIdentity {
  /** The program, `/usr/bin/qemu-system-x86_64`; empty when it may not be read. */
  readonly binary: string;
  readonly argv: readonly string[];
  readonly cwd: string;
}

const MAX_COMMAND_LINE = 1024 * 1024;

/** Every QEMU system emulator in our network namespace. Processes that end meanwhile are left out. */
export async function listQemuProcesses(signal: AbortSignal): Promise<QemuProcess[]> {
  const ours = await readlink('/proc/self/ns/net');
  const entries = await readdir('/proc');
  const pids = entries.filter((entry) => /^\d+$/.test(entry)).map(Number);
  const found = await Promise.all(pids.map((pid) => lookAt(pid, ours)));
  signal.throwIfAborted();
  return found.filter((each) => each !== undefined);
}

async function lookAt(pid: number, namespace: string): Promise<QemuProcess | undefined> {
  try {
    const command = await readFile(`/proc/${pid}/comm`, 'utf8');
    // The kernel cuts names at 15 characters; a wrapper's exec leaves the program's own.
    if (!/^(qemu|kvm)/.test(command)) return undefined;
    if ((await readlink(`/proc/${pid}/ns/net`)) !== namespace) return undefined;
    return await readProcess(pid);
  } catch {
    return undefined;
  }
}

/** Undefined when there is no such process, or it is no system emulator. */
export async function readProcess(pid: number): Promise<QemuProcess | undefined> {
  try {
    const startTicks = startTicksOf(pid);
    const [raw, binary, cwd] = await Promise.all([
      readFile(`/proc/${pid}/cmdline`),
      readlink(`/proc/${pid}/exe`).catch(() => ''),
      readlink(`/proc/${pid}/cwd`).catch(() => '/'),
    ]);
    if (startTicks === undefined || raw.length > MAX_COMMAND_LINE) return undefined;
    const argv = splitCommandLine(raw);
    if (!isSystemEmulator(argv[0] ?? '', binary)) return undefined;
    return { pid, startTicks, binary: binary.replace(/ \(deleted\)$/, ''), argv, cwd };
  } catch {
    return undefined;
  }
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

/** Resolves once the process is gone; GODWIT_DEADLINE when it stays. */
export async function waitForExit(
  identity: ProcessIdentity,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<void> {
  const until = performance.now() + deadlineMs;
  while (isAlive(identity)) {
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

/** Ends the process for good; nothing when it is gone or another now has its pid. */
export async function killProcess(
  identity: ProcessIdentity,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<void> {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, 'SIGKILL');
  } catch (error) {
    if (!isNoSuchProcess(error)) throw error;
  }
  await waitForExit(identity, deadlineMs, signal);
}

function isNoSuchProcess(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ESRCH';
}
