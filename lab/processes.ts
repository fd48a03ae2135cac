import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, readlink } from 'node:fs/promises';
import { systemClock } from '../src/clock.ts';
import { godwitError } from '../src/errors.ts';
import {
  isAlive,
  pids,
  startTicksOf,
  type ProcessIdentity,
} from '../src/system/processes/process.ts';

/** A process of a lab, as /proc shows it. */
export interface LabProcess extends ProcessIdentity {
  readonly networkNamespace: number;
  readonly argv: readonly string[];
}

/** Every process in one of these network namespaces (by inode number). */
export async function processesInNamespaces(inodes: ReadonlySet<number>): Promise<LabProcess[]> {
  const found = await Promise.all(
    pids().map(async (pid): Promise<LabProcess | undefined> => {
      const link = await readlink(`/proc/${pid}/ns/net`).catch(() => '');
      const networkNamespace = Number(/^net:\[(\d+)\]$/.exec(link)?.[1]);
      if (!inodes.has(networkNamespace)) return undefined;
      const startTicks = startTicksOf(pid);
      if (startTicks === undefined) return undefined;
      const cmdline = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      return { pid, startTicks, networkNamespace, argv: cmdline.split('\0').slice(0, -1) };
    }),
  );
  return found.filter((process) => process !== undefined);
}

/**
 * Ends the processes that `list` returns until it returns none: SIGTERM first, SIGKILL after
 * `graceMs`. `known` have had a signal before. Throws GODWIT_LAB naming what is still there after `deadlineMs`.
 */
export async function endProcesses(
  list: () => Promise<readonly ProcessIdentity[]>,
  { graceMs = 3000, deadlineMs = 15_000, known = [] as readonly ProcessIdentity[] } = {},
): Promise<void> {
  const start = systemClock.monotonicMs();
  const asked = new Set<string>();
  let before = known;
  for (;;) {
    const listed = await list();
    // A process that ends loses its command line before its sockets: a list by words no longer has it.
    const ending = before.filter((each) => isAlive(each) && !listed.some(isSame(each)));
    const living = [...listed, ...ending];
    before = living;
    if (living.length === 0) return;
    const waitedMs = systemClock.monotonicMs() - start;
    if (waitedMs > deadlineMs) {
      const pids = living.map(({ pid }) => pid).join(', ');
      throw godwitError('GODWIT_LAB', { what: `these processes do not end: ${pids}` });
    }
    for (const { pid, startTicks } of living) {
      const key = `${pid}/${startTicks}`;
      if (waitedMs > graceMs) signalProcess(pid, 'SIGKILL');
      else if (!asked.has(key)) signalProcess(pid, 'SIGTERM');
      asked.add(key);
    }
    await systemClock.sleep(20);
  }
}

function isSame(one: ProcessIdentity): (other: ProcessIdentity) => boolean {
  return ({ pid, startTicks }) => pid === one.pid && startTicks === one.startTicks;
}

export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself in the meantime.
  }
}

/**
 * Starts a process that outlives this one, in a session of its own, with its output appended to
 * `logFile`. Resolves once it has been started; throws GODWIT_HOST_LACKS when the program is missing.
 */
export async function startDetached(
  argv: readonly string[],
  options: { readonly logFile: string; readonly env: NodeJS.ProcessEnv },
): Promise<ProcessIdentity> {
  const [program = '', ...args] = argv;
  const log = openSync(options.logFile, 'a', 0o600);
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
      env: options.env,
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) =>
        reject(godwitError('GODWIT_HOST_LACKS', { what: `the program ${program}` }, { cause })),
      );
    });
    child.unref();
    const pid = child.pid ?? 0;
    return { pid, startTicks: startTicksOf(pid) ?? 0 };
  } finally {
    closeSync(log);
  }
}
