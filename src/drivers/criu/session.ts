import { readFileSync } from 'node:fs';
import { systemClock } from '../../clock.ts';
import { lifeOf, type BootProcess } from '../../system/processes/life.ts';
import { bootId, kill, pids, readStat } from '../../system/processes/process.ts';

/** CRIU ends by itself once the runc that asked it is gone; then it is ended. */
const BY_ITSELF_MS = 5000;
/** What the kernel takes to end a process that holds much memory. */
const KILLED_MS = 30_000;

/**
 * The living processes of the session that a process of ours began, itself among them: runc and the CRIU that it started,
 * which outlives it. Processes that CRIU restores leave the session for those of the container.
 */
export function sessionOf(leader: BootProcess): number[] {
  // After a restart of the host, or once its number is another's, the session is not the one that was begun.
  if (leader.bootId !== undefined && leader.bootId !== bootId()) return [];
  const found: number[] = [];
  for (const pid of pids()) {
    const text = statLine(pid);
    const stat = text === undefined ? undefined : readStat(text);
    if (stat === undefined || stat.hasEnded) continue;
    const isOther = pid === leader.pid && stat.startTicks !== leader.startTicks;
    if (isOther) return [];
    if (stat.session === leader.pid && stat.startTicks >= leader.startTicks) found.push(pid);
  }
  return found;
}

function statLine(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * The process of a dump or restore that Godwit began in `images`, by its command line: a mover that dies right after the
 * start has not recorded it. Undefined if there is none.
 */
export function findWorker(images: string): BootProcess | undefined {
  for (const pid of pids()) {
    const words = commandLine(pid);
    if (words[words.indexOf('--image-path') + 1] !== images) continue;
    const stat = readStat(statLine(pid) ?? '');
    // It leads a session of its own.
    if (stat?.session === pid && !stat.hasEnded) {
      return { pid, startTicks: stat.startTicks, bootId: bootId() };
    }
  }
  return undefined;
}

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/**
 * Waits for the end of a dump or a restore: of the process that Godwit began, at most `mostMs`, and of what that one has
 * left. False where something of it lives on.
 */
export async function sessionEnded(
  leader: BootProcess,
  mostMs: number,
  signal: AbortSignal,
  byItselfMs = BY_ITSELF_MS,
): Promise<boolean> {
  const ended = async (withinMs: number, has: () => boolean): Promise<boolean> => {
    const until = systemClock.monotonicMs() + withinMs;
    while (!has()) {
      if (systemClock.monotonicMs() > until) return false;
      await systemClock.sleep(50, signal);
    }
    return true;
  };
  if (!(await ended(mostMs, () => lifeOf(leader).state === 'gone'))) return false;
  const isEmpty = (): boolean => sessionOf(leader).length === 0;
  if (await ended(byItselfMs, isEmpty)) return true;
  for (const pid of sessionOf(leader)) kill(pid);
  return ended(KILLED_MS, isEmpty);
}
