import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import path from 'node:path';
import { withDeadline } from '../../../deadline.ts';
import { godwitError, hasCode } from '../../../errors.ts';
import { readEnd } from '../../../system/files/checked-open.ts';
import { lifeOf, lifeOfPid } from '../../../system/processes/life.ts';
import { bootId, startTicksOf } from '../../../system/processes/process.ts';
import { monitorProcess, readProcess, userOf } from '../guest/process.ts';
import type { QmpClient } from '../qmp/client.ts';
import { connectMonitor } from '../qmp/connect.ts';
import { judgeEnd, unreachable, type MonitorOwner } from '../qmp/monitor-end.ts';
import { LOG_FILE, PID_FILE, QMP_SOCKET } from '../spec/names.ts';
import { inCgroup, type Limits } from '../user/cgroup.ts';
import { confined, mayLock, type Command, type RunAs } from '../user/confine.ts';
import type { QemuHandle } from '../handle.ts';

const START_MS = 10_000;
const GREETING_MS = 5000;
const POLL_MS = 3;
const LOG_TAIL_BYTES = 2048;
const PID_BYTES = 32;
/** Does not follow a link that an earlier QEMU left under the log's name. */
export const LOG_FLAGS =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

export interface LaunchSite {
  readonly host: string;
  readonly guest: string;
  readonly guestDir: string;
  /** Time that its process may take to end after its monitor closed, ms. */
  readonly endsMs?: number | undefined;
  readonly as?: RunAs | undefined;
  readonly limits?: Limits | undefined;
  /** Memory that it may lock, bytes; absent: as this process. */
  readonly lockBytes?: number | undefined;
}

export interface LaunchedQemu {
  readonly handle: QemuHandle;
  readonly client: QmpClient;
}

/**
 * Starts the program detached, with its output in the log, and connects to its monitor. `onProcess` is called
 * before any wait. If the program ends, throws GODWIT_HYPERVISOR with the end of the log.
 */
export async function launch(
  place: LaunchSite,
  binary: string,
  argv: readonly string[],
  signal: AbortSignal,
  onProcess: (handle: QemuHandle) => void,
): Promise<LaunchedQemu> {
  const limited = mayLock(place.lockBytes, confined({ file: binary, argv }, place.as));
  return launchCommand(place, inCgroup(place.guestDir, place.limits, limited), signal, onProcess);
}

export async function launchCommand(
  place: LaunchSite,
  command: Command,
  signal: AbortSignal,
  onProcess: (handle: QemuHandle) => void,
): Promise<LaunchedQemu> {
  await mkdir(place.guestDir, { recursive: true, mode: 0o700 });
  const log = await open(path.join(place.guestDir, LOG_FILE), LOG_FLAGS, 0o600);
  try {
    const child = spawn(command.file, command.argv, {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      cwd: place.guestDir,
    });
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => {});
    child.once('error', (cause) =>
      failed.reject(startError(place, `${command.file}: ${cause.message}`, cause)),
    );
    child.once('exit', () => {
      failed.reject(startError(place, logTail(place)));
    });
    child.unref();
    const { pid } = child;
    if (pid === undefined) return await failed.promise;
    const startTicks = startTicksOf(pid);
    if (startTicks === undefined) {
      // It could not be distinguished from a later process, so it is killed while it is our child; it has no guest
      // yet.
      child.kill('SIGKILL');
      return await failed.promise;
    }
    const handle = handleOf(place, pid, startTicks);
    onProcess(handle);
    const client = await withDeadline('the start of QEMU', START_MS, signal, (inner) =>
      Promise.race([
        connectWhenReady(place, handle, inner).catch((error: unknown) => {
          // It ended during its start: its output explains more.
          if (hasCode(error, 'GODWIT_HYPERVISOR_LOST')) return failed.promise;
          throw error;
        }),
        failed.promise,
      ]),
    );
    return { handle, client };
  } finally {
    await log.close();
  }
}

function handleOf(place: LaunchSite, pid: number, startTicks: number): QemuHandle {
  const monitor = path.join(place.guestDir, QMP_SOCKET);
  return { driver: 'qemu', name: place.guest, pid, startTicks, bootId: bootId(), monitor };
}

/** The owner appears in errors and proves that the process has ended. */
export function ownerOf({ host, guest, endsMs }: LaunchSite, handle: QemuHandle): MonitorOwner {
  const owner = { host, guest, side: 'destination', process: monitorProcess(handle) } as const;
  return endsMs === undefined ? owner : { ...owner, endsMs };
}

async function attach(
  place: LaunchSite,
  handle: QemuHandle,
  signal: AbortSignal,
): Promise<QmpClient> {
  const user = userOf(handle.pid);
  const address = { ...ownerOf(place, handle), path: handle.monitor, user };
  return connectMonitor(address, GREETING_MS, signal);
}

async function connectWhenReady(
  place: LaunchSite,
  handle: QemuHandle,
  signal: AbortSignal,
): Promise<QmpClient> {
  for (;;) {
    signal.throwIfAborted();
    const there = await stat(handle.monitor).then(
      () => true,
      () => false,
    );
    if (there) {
      try {
        return await attach(place, handle, signal);
      } catch (error) {
        // The socket exists a moment before QEMU listens on it.
        if (!hasCode(error, 'GODWIT_MONITOR_UNREACHABLE')) throw error;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/**
 * Connects to the process that an earlier mover started. Undefined if there is none, or it was about to end and
 * has. Throws GODWIT_MONITOR_UNREACHABLE if it stays without answering, because its guest may run.
 */
export async function attachStarted(
  place: LaunchSite,
  known: QemuHandle | undefined,
  signal: AbortSignal,
): Promise<LaunchedQemu | undefined> {
  const handle = await findStarted(place, known);
  if (handle === undefined) return undefined;
  try {
    return { handle, client: await attach(place, handle, signal) };
  } catch (error) {
    if (hasCode(error, 'GODWIT_HYPERVISOR_LOST')) return undefined;
    if (!hasCode(error, 'GODWIT_MONITOR_UNREACHABLE')) throw error;
    const reason = String(error.facts['reason'] ?? '');
    const judged = await judgeEnd(ownerOf(place, handle), reason, error, signal);
    if (judged.code === 'GODWIT_HYPERVISOR_LOST') return undefined;
    throw judged;
  }
}

/**
 * Process that an earlier mover started in this directory, unless the kernel reports it gone. Throws
 * GODWIT_MONITOR_UNREACHABLE if the pid file's process cannot be seen.
 */
export async function findStarted(
  place: LaunchSite,
  known: QemuHandle | undefined,
): Promise<QemuHandle | undefined> {
  if (known !== undefined && lifeOf(known).state !== 'gone') return known;
  const pid = await startedPid(place);
  if (pid === undefined || lifeOfPid(pid).state === 'gone') return undefined;
  const process = await readProcess(pid).catch((cause: unknown) => {
    const { host, guest } = place;
    throw unreachable(
      { host, guest, side: 'destination' },
      `process ${pid} of its pid file cannot be seen`,
      cause,
    );
  });
  const monitor = path.join(place.guestDir, QMP_SOCKET);
  // The pid may have been reused; QEMU's command line names our directory.
  if (process?.argv.some((word) => word.startsWith(`unix:${monitor},`)) !== true) return undefined;
  return handleOf(place, pid, process.startTicks);
}

async function startedPid(place: LaunchSite): Promise<number | undefined> {
  const file = path.join(place.guestDir, PID_FILE);
  try {
    const pid = Number(readEnd(file, PID_BYTES));
    return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    const { host, guest } = place;
    throw unreachable({ host, guest, side: 'destination' }, 'its pid file cannot be read', cause);
  }
}

function logTail({ guestDir }: Pick<LaunchSite, 'guestDir'>): string {
  const tail = logEnd(path.join(guestDir, LOG_FILE), 6);
  return tail === '' ? 'it ended without a word' : tail;
}

export function logEnd(file: string, lines: number): string {
  try {
    return readEnd(file, LOG_TAIL_BYTES).trim().split('\n').slice(-lines).join('; ');
  } catch {
    return '';
  }
}

function startError(place: LaunchSite, reason: string, cause?: unknown): Error {
  return godwitError(
    'GODWIT_HYPERVISOR',
    { hypervisor: 'QEMU', host: place.host, command: 'start', reason },
    { cause },
  );
}
