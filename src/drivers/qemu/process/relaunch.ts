import { spawn } from 'node:child_process';
import { open, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';

import { lifeOf } from '../../../system/processes/life.ts';
import { bootId, startTicksOf } from '../../../system/processes/process.ts';
import { defined } from '../../../protocol/defined.ts';
import { readFacts } from '../guest/facts.ts';
import { listQemuProcesses, readProcess, userOf, type QemuProcess } from '../guest/process.ts';
import { connectMonitor } from '../qmp/connect.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import { whyNotAsStarted, writtenImages } from '../spec/as-started.ts';
import { withMovedImages } from '../spec/moved-argv.ts';
import { LOG_FLAGS, logEnd } from './launch.ts';
import { LOG_FILE } from '../spec/names.ts';
import { giveAgain, otherUserOf } from '../user/access.ts';
import { entering } from '../user/cgroup.ts';
import { confined, lockLimitOf, mayLock } from '../user/confine.ts';
import type { QemuHandle, QemuLaunch } from '../handle.ts';

/** Restarts a guest with its QEMU's command line, like a power cut and the power button. */

const START_MS = 20_000;
const GREETING_MS = 2000;
const POLL_MS = 20;
/** Tap that outlives its program (IFF_PERSIST of linux/if_tun.h). */
const TAP_PERSISTS = 0x0800;

/**
 * Options that apply only to an arriving guest or to the caller that waits for the start; values are their
 * argument counts.
 */
const LEFT_OUT: Readonly<Record<string, number>> = {
  incoming: 1,
  loadvm: 1,
  S: 0,
  daemonize: 0,
};

export function coldArguments(argv: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    const values = /^--?[A-Za-z]+$/.test(word) ? LEFT_OUT[word.replace(/^--?/, '')] : undefined;
    if (values === undefined) kept.push(word);
    else at += values;
  }
  return kept;
}

/** An inherited open file: by number in an option, in JSON, as an address type, or as a path. */
const INHERITED = [
  /(^|,)(vhost)?fds?=\d/,
  /"(vhost)?fds?"\s*:\s*"?\d/,
  /\.type=fd(,|$)/,
  /"type"\s*:\s*"fd"/,
  /\/dev\/fdset\/|\/(dev|proc\/self)\/fd\/\d/,
];

export function whyNotAgain(argv: readonly string[]): string | undefined {
  // The kernel's command line may contain anything.
  const inherited = coldArguments(argv).find((word, at, kept) => {
    return !/^--?append$/.test(kept[at - 1] ?? '') && INHERITED.some((each) => each.test(word));
  });
  if (inherited !== undefined) {
    return `who started its QEMU handed it open files (${inherited.slice(0, 80)})`;
  }
  if (argv.some((word) => /^--?(add-fd|chroot|runas)$/.test(word))) {
    return 'its QEMU was started with rights or files that only who started it can give';
  }
  if (argv.some((word) => /^--?tpmdev$/.test(word))) {
    return 'a program beside its QEMU serves its TPM, and would have to be started anew with it';
  }
  const words = argv.flatMap((word) => word.split(','));
  const terminal = ['stdio', 'mon:stdio', '-nographic', '--nographic'];
  if (words.some((word) => terminal.includes(word))) return 'it is on a terminal';
  return undefined;
}

/**
 * Running guest's command line, after a check that it can be used again. GODWIT_RESTART gives the reason if it
 * cannot.
 */
export async function launchOf(
  handle: QemuHandle,
  client: QmpClient,
  signal: AbortSignal,
): Promise<QemuLaunch> {
  const process = await readProcess(handle.pid);
  const no = (reason: string): Error =>
    godwitError('GODWIT_RESTART', { guest: handle.name, host: 'its source', reason });
  if (process === undefined) throw no('its process has ended');
  const reason =
    whyNotAgain(process.argv) ?? (await whyNotOwned(handle)) ?? (await whyNoPort(process.argv));
  if (reason !== undefined) throw no(reason);
  if (process.binary === '') throw no('its program cannot be read');
  const { binary, cwd } = process;
  const [machine, as, lockBytes] = await Promise.all([
    readFacts(client, process, signal),
    otherUser(handle.pid),
    lockBytesOf(handle.pid),
  ]);
  const { block } = machine;
  const changed = whyNotAsStarted(process.argv, cwd, machine);
  if (changed !== undefined) throw no(changed);
  const argv = coldArguments(withMovedImages(process.argv.slice(1), cwd, block));
  return {
    binary,
    argv,
    cwd,
    writes: writtenImages(block, cwd),
    ...defined({ as, lockBytes }),
  };
}

async function lockBytesOf(pid: number): Promise<QemuLaunch['lockBytes']> {
  const limits = await readFile(`/proc/${pid}/limits`, 'utf8');
  return lockLimitOf(
    limits,
    await readFile('/proc/self/limits', 'utf8'),
    process.geteuid?.() === 0,
  );
}

async function whyNotOwned({ pid }: QemuHandle): Promise<string | undefined> {
  const { uid } = await stat(`/proc/${pid}`);
  const own = process.geteuid?.();
  return own === 0 || uid === own ? undefined : `it runs as another user (uid ${uid})`;
}

async function otherUser(pid: number): Promise<QemuLaunch['as']> {
  const user = await otherUserOf(pid);
  if (user === undefined) return undefined;
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const groups = /^Groups:\s+(.*)$/m.exec(status)?.[1] ?? '';
  return {
    ...user,
    groups: groups
      .split(/\s+/)
      .filter((id) => id !== '')
      .map(Number),
    noNewPrivs: /^NoNewPrivs:\s+1$/m.test(status),
  };
}

/** A tap that disappears with its QEMU would be missing for the next one. */
async function whyNoPort(argv: readonly string[]): Promise<string | undefined> {
  for (const word of argv) {
    const port = /(?:^|,)ifname=([^,]+)/.exec(word)?.[1];
    if (port === undefined || !/(?:^|,)script=no(?:,|$)/.test(word)) continue;
    const flags = await readFile(`/sys/class/net/${port}/tun_flags`, 'utf8').catch(() => '');
    if ((Number(flags.trim()) & TAP_PERSISTS) === 0) return `its port ${port} would go with it`;
  }
  return undefined;
}

/**
 * Starts the guest, or finds it started, and returns once it runs. Throws GODWIT_RESTART unless the old process
 * is known to be gone.
 */
export async function relaunch(
  host: string,
  old: QemuHandle,
  launch: QemuLaunch,
  signal: AbortSignal,
): Promise<QemuHandle> {
  return withDeadline(`the new start of ${old.name}`, START_MS, signal, async (inner) => {
    const life = lifeOf(old);
    if (life.state !== 'gone') {
      const reason = life.state === 'unknown' ? life.reason : 'its QEMU has not ended';
      throw godwitError('GODWIT_RESTART', { guest: old.name, host, reason });
    }
    const running = await startedAlready(old, launch, inner);
    const { pid, startTicks } = running ?? (await start(host, old, launch));
    const handle = { ...old, pid, startTicks, bootId: bootId() };
    for (;;) {
      if (lifeOf(handle).state === 'gone') throw ended(host, old, launch);
      if (await runs(host, handle, inner)) return handle;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      inner.throwIfAborted();
    }
  });
}

async function startedAlready(
  old: QemuHandle,
  { argv }: QemuLaunch,
  signal: AbortSignal,
): Promise<QemuProcess | undefined> {
  const all = await listQemuProcesses(signal);
  return all.find(
    (each) =>
      (each.pid !== old.pid || each.startTicks !== old.startTicks) &&
      each.argv.slice(1).join('\0') === argv.join('\0'),
  );
}

async function start(
  host: string,
  old: QemuHandle,
  { binary, argv, cwd, as, lockBytes }: QemuLaunch,
): Promise<{ pid: number; startTicks: number }> {
  if (as !== undefined) await giveAgain(path.dirname(old.monitor), as.gid);
  const log = await open(logOf(old), LOG_FLAGS, 0o600);
  try {
    const plain = { file: binary, argv };
    const limited = as === undefined ? plain : confined(plain, as);
    const command = entering(path.dirname(old.monitor), mayLock(lockBytes, limited));
    const child = spawn(command.file, command.argv, {
      cwd,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    const failed = new Promise<never>((_, reject) => child.once('error', reject));
    child.unref();
    if (child.pid === undefined) return await failed;
    const startTicks = startTicksOf(child.pid);
    if (startTicks !== undefined) return { pid: child.pid, startTicks };
    // It could not be distinguished from a later process, so it is killed while it is our child.
    child.kill('SIGKILL');
    throw ended(host, old, { binary });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw godwitError('GODWIT_RESTART', { guest: old.name, host, reason }, { cause });
  } finally {
    await log.close();
  }
}

/** Next to its monitor, like the log of a guest that Godwit started. */
function logOf({ monitor }: QemuHandle): string {
  return path.join(path.dirname(monitor), LOG_FILE);
}

function ended(host: string, old: QemuHandle, { binary }: Pick<QemuLaunch, 'binary'>): Error {
  const tail = logEnd(logOf(old), 3).slice(-400);
  const reason = `${binary} ended at once${tail === '' ? '' : `: ${tail}`}`;
  return godwitError('GODWIT_RESTART', { guest: old.name, host, reason });
}

async function runs(host: string, handle: QemuHandle, signal: AbortSignal): Promise<boolean> {
  const owner = {
    host,
    guest: handle.name,
    side: 'source' as const,
    path: handle.monitor,
    user: userOf(handle.pid),
  };
  const client = await connectMonitor(owner, GREETING_MS, signal).catch(() => undefined);
  if (client === undefined) return false;
  try {
    const { running } = await client.query('query-status', {}, answers.runStatus, signal);
    return running;
  } finally {
    client.close();
  }
}
