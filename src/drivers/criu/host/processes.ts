import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink, realpath, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { bootId, parseStat, startTicksOf } from '../../../system/processes/process.ts';
import { godwitError } from '../../../errors.ts';
import { ignoring } from '../../../system/ignoring.ts';
import type { BootProcess } from '../../../system/processes/life.ts';

/** For `catch`: of a process that has ended; whatever else the kernel says is no answer. */
export const hasEnded = ignoring('ENOENT', 'ESRCH');

/** Open files of one process: they are read one by one. */
const MAX_FILES = 100_000;

/** What the kernel reports of a container's processes and of its cgroup. */

export function identify(pid: number): BootProcess | undefined {
  const startTicks = startTicksOf(pid);
  return startTicks === undefined ? undefined : { pid, startTicks, bootId: bootId() };
}

/** The directory of a process's cgroup in which the freezer's files are, as this process gets to it. */
export async function cgroupOf(pid: number, prefix: string): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
  const lines = text
    .trim()
    .split('\n')
    .map((line) => line.split(':'));
  const old = lines.find(([, controllers = '']) => controllers.split(',').includes('freezer'));
  if (old !== undefined) return `${prefix}/sys/fs/cgroup/freezer${old.slice(2).join(':')}`;
  const unified = lines.find(([number]) => number === '0');
  return unified && `${prefix}/sys/fs/cgroup${unified.slice(2).join(':')}`;
}

/** Freezes or thaws all of it; resolves once the kernel says that it is so. */
export async function setFrozen(
  cgroup: string,
  frozen: boolean,
  signal: AbortSignal,
): Promise<void> {
  const old = await readFile(path.join(cgroup, 'freezer.state'), 'utf8').catch(() => undefined);
  const [file, word] =
    old === undefined
      ? ['cgroup.freeze', frozen ? '1' : '0']
      : ['freezer.state', frozen ? 'FROZEN' : 'THAWED'];
  await writeFile(path.join(cgroup, file), word);
  while ((await isFrozen(cgroup)) !== frozen) {
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

export async function isFrozen(cgroup: string): Promise<boolean> {
  const old = await readFile(path.join(cgroup, 'freezer.state'), 'utf8').catch(() => undefined);
  if (old !== undefined) return old.trim() === 'FROZEN';
  const events = await readFile(path.join(cgroup, 'cgroup.events'), 'utf8').catch(() => '');
  return /^frozen 1$/m.test(events);
}

/** Every process of the container, also those in cgroups below its own. */
export async function processesIn(cgroup: string): Promise<number[]> {
  const own = await readFile(path.join(cgroup, 'cgroup.procs'), 'utf8').catch(() => '');
  const below = await readdir(cgroup, { withFileTypes: true }).catch(() => []);
  const rest = await Promise.all(
    below
      .filter((each) => each.isDirectory())
      .map(({ name }) => processesIn(path.join(cgroup, name))),
  );
  return [...own.trim().split('\n').filter(Boolean).map(Number), ...rest.flat()];
}

/** Whether a signal has stopped it. */
export function isStoppedNow(pid: number): boolean {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.state === 'T';
  } catch {
    return false;
  }
}

/** Whether a signal has stopped a container's first process, or its cgroup is frozen. */
export async function standsStill(pid: number, cgroup: string): Promise<boolean> {
  return isStoppedNow(pid) || isFrozen(cgroup);
}

/** Where a process's files lead, by number; empty where it has ended. */
export async function filesOf(pid: number): Promise<Map<number, string>> {
  const numbers = (await readdir(`/proc/${pid}/fd`).catch(hasEnded)) ?? [];
  if (numbers.length > MAX_FILES) {
    const what = `a process of at most ${MAX_FILES} open files: ${pid} has ${numbers.length}`;
    throw godwitError('GODWIT_HOST_LACKS', { what });
  }
  const found = new Map<number, string>();
  for (const name of numbers) {
    found.set(Number(name), (await readlink(`/proc/${pid}/fd/${name}`).catch(hasEnded)) ?? '');
  }
  return found;
}

/**
 * Processes of this program, by the name of its file, that have this working directory. A directory of a container may have
 * the same path in its mounts, and be another one.
 */
export async function runningIn(directory: string, program: string): Promise<BootProcess[]> {
  const name = path.basename(program);
  const own = await directoryOf(directory);
  if (own === undefined) return [];
  const at = await realpath(directory);
  const found: BootProcess[] = [];
  for (const pid of (await readdir('/proc')).map(Number).filter(Number.isInteger)) {
    const seen = identify(pid);
    if (seen === undefined) continue;
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (!words.some((word) => path.basename(word) === name)) continue;
    const cwd = `/proc/${pid}/cwd`;
    // Where it leads asks no storage, and the storage of another directory may not answer.
    if ((await readlink(cwd).catch(() => '')) !== at) continue;
    if ((await directoryOf(cwd)) === own) found.push(seen);
  }
  return found;
}

/** Which one it is, whatever its path; undefined where there is none. */
async function directoryOf(file: string): Promise<string | undefined> {
  const found = await stat(file, { bigint: true }).catch(() => undefined);
  return found && `${found.dev}:${found.ino}`;
}

/** Bytes of memory that it has in use. */
export async function residentBytes(pids: readonly number[]): Promise<number> {
  return sumOf(await inStatus(pids, 'VmRSS'));
}

/** Bytes that CRIU would write down at most: what its processes share is counted once, and files that they map not at all. */
export async function dumpedBytes(pids: readonly number[]): Promise<number> {
  const shared = await inStatus(pids, 'RssShmem');
  return sumOf(await inStatus(pids, 'RssAnon')) + Math.max(0, ...shared);
}

/** What /proc/PID/status says of each, bytes; 0 of one that has ended. */
function inStatus(pids: readonly number[], field: string): Promise<number[]> {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm');
  return Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      return Number(line.exec(text)?.[1] ?? 0) * 1024;
    }),
  );
}

function sumOf(all: readonly number[]): number {
  return all.reduce((sum, each) => sum + each, 0);
}

export function continueNow(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT');
  } catch {
    // It has ended.
  }
}
