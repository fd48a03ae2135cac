import { readFileSync } from 'node:fs';
import { systemClock } from '../../clock.ts';
import { lifeOf, type BootProcess } from '../../system/processes/life.ts';
import { bootId, kill, pids, readStat } from '../../system/processes/process.ts';

/** Time for CRIU to end by itself after its runc; then it is killed. */
const BY_ITSELF_MS = 5000;
const KILLED_MS = 30_000;

/**
 * Live processes of a session that Godwit started, including its leader: runc, and the CRIU that outlives it.
 * Restored processes leave the session.
 */
export function sessionOf(leader: BootProcess): number[] {
  // After a reboot, or if the pid is reused, the session is another one.
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
 * Process of a dump or restore in `images`, by its command line, because a mover that dies right after the start
 * has not recorded it. Undefined if there is none.
 */
export function findWorker(images: string): BootProcess | undefined {
  for (const pid of pids()) {
    const words = commandLine(pid);
    if (words[words.indexOf('--image-path') + 1] !== images) continue;
    const stat = readStat(statLine(pid) ?? '');
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
 * Waits up to `mostMs` for the end of a dump or restore, and then for processes that it left. False if one lives
 * on.
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
