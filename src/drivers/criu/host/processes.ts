import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink, realpath, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { bootId, parseStat, startTicksOf } from '../../../system/processes/process.ts';
import { godwitError } from '../../../errors.ts';
import { ignoring } from '../../../system/ignoring.ts';
import type { BootProcess } from '../../../system/processes/life.ts';

/** Accepts, in a `catch`, only the errors of an ended process. */
export const hasEnded = ignoring('ENOENT', 'ESRCH');

/** Limit of one process's open files, which are read one by one. */
const MAX_FILES = 100_000;

export function identify(pid: number): BootProcess | undefined {
  const startTicks = startTicksOf(pid);
  return startTicks === undefined ? undefined : { pid, startTicks, bootId: bootId() };
}

/** Cgroup directory of a process with the freezer's files, as a path for this process. */
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

/** Freezes or thaws the cgroup; resolves once the kernel confirms it. */
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

/** All processes of the container, including lower cgroups. */
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

export function isStoppedNow(pid: number): boolean {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.state === 'T';
  } catch {
    return false;
  }
}

export async function standsStill(pid: number, cgroup: string): Promise<boolean> {
  return isStoppedNow(pid) || isFrozen(cgroup);
}

/** Targets of a process's descriptors, by number; empty if it has ended. */
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
 * Processes of this program (by file name) with this working directory. A container's directory may have the
 * same path in its mounts but be a different one.
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
    // Reading the link accesses no storage, and another directory's storage may not answer.
    if ((await readlink(cwd).catch(() => '')) !== at) continue;
    if ((await directoryOf(cwd)) === own) found.push(seen);
  }
  return found;
}

/** Directory's identity, independent of its path; undefined if there is none. */
async function directoryOf(file: string): Promise<string | undefined> {
  const found = await stat(file, { bigint: true }).catch(() => undefined);
  return found && `${found.dev}:${found.ino}`;
}

export async function residentBytes(pids: readonly number[]): Promise<number> {
  return sumOf(await inStatus(pids, 'VmRSS'));
}

/** Upper limit of CRIU's dump, bytes: shared memory counts once, and mapped files do not count. */
export async function dumpedBytes(pids: readonly number[]): Promise<number> {
  const shared = await inStatus(pids, 'RssShmem');
  return sumOf(await inStatus(pids, 'RssAnon')) + Math.max(0, ...shared);
}

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
