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
/** More than a pid and a line end have. */
const PID_BYTES = 32;
/** A link that a former QEMU left under the log's name is not followed. */
export const LOG_FLAGS =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

export interface LaunchSite {
  readonly host: string;
  readonly guest: string;
  readonly guestDir: string;
  /** How long its process may take to end once its monitor has closed, ms. */
  readonly endsMs?: number | undefined;
  /** Default: as this process. */
  readonly as?: RunAs | undefined;
  /** Of its cgroup; absent: it gets none of its own. */
  readonly limits?: Limits | undefined;
  /** How much memory it may lock; absent: as much as this process. */
  readonly lockBytes?: number | undefined;
}

export interface LaunchedQemu {
  readonly handle: QemuHandle;
  readonly client: QmpClient;
}

/**
 * Starts the program detached from us, its words going to the log, and connects to its monitor.
 * `onProcess` hears of the process before anything is waited for. GODWIT_HYPERVISOR with the log's end when it ends.
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

/** The same for a program whose bounds are set already. */
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
      // Nobody could distinguish it from a later process: it is ended while it is still our child, and holds no guest.
      child.kill('SIGKILL');
      return await failed.promise;
    }
    const handle = handleOf(place, pid, startTicks);
    onProcess(handle);
    const client = await withDeadline('the start of QEMU', START_MS, signal, (inner) =>
      Promise.race([
        connectWhenReady(place, handle, inner).catch((error: unknown) => {
          // It ended in the midst of its start: what it said itself says more than that.
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

/** For the words of errors, and for the proof that the process has ended. */
export function ownerOf({ host, guest, endsMs }: LaunchSite, handle: QemuHandle): MonitorOwner {
  const owner = { host, guest, side: 'destination', process: monitorProcess(handle) } as const;
  return endsMs === undefined ? owner : { ...owner, endsMs };
}

/** Connects to the monitor of a process that has been started already. */
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
        // Between making the socket and listening on it there is a moment.
        if (!hasCode(error, 'GODWIT_MONITOR_UNREACHABLE')) throw error;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/**
 * Takes hold of the process that a former mover started; undefined when there is none, or it was about to end and has.
 * One that nobody answers for and that stays is GODWIT_MONITOR_UNREACHABLE, as its guest may run.
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
 * The process that a former mover started in this directory, if it is not gone by the kernel's word. GODWIT_MONITOR_UNREACHABLE
 * where its pid file names a process that cannot be seen.
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
  // A pid may have been given to another program meanwhile; its command line names our directory.
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

/** The last lines of the hypervisor's log. */
function logTail({ guestDir }: Pick<LaunchSite, 'guestDir'>): string {
  const tail = logEnd(path.join(guestDir, LOG_FILE), 6);
  return tail === '' ? 'it ended without a word' : tail;
}

/** The last lines of a log that may be as long as its disk; empty where it cannot be read. */
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
