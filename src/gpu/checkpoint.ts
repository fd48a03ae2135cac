import type { GpuPair, ProcessState } from './driver-library.ts';

/** The order in which the state of a process's GPUs is taken away and given back. Each step may be repeated. */

/** The driver's calls, wherever they are made. Each rejects with the driver's own word. */
export interface CheckpointCalls {
  state(pid: number): Promise<ProcessState>;
  lock(pid: number, timeoutMs: number): Promise<void>;
  checkpoint(pid: number): Promise<void>;
  restore(pid: number, pairs: readonly GpuPair[]): Promise<void>;
  unlock(pid: number): Promise<void>;
}

export interface SuspendTimes {
  readonly lockMs: number;
  readonly checkpointMs: number;
}

export interface ResumeTimes {
  readonly restoreMs: number;
  readonly unlockMs: number;
}

type NowMs = () => number;

async function timed(now: NowMs, work: () => Promise<void>): Promise<number> {
  const from = now();
  await work();
  return now() - from;
}

/**
 * Ends with all of it in the host's memory and its GPUs given back, or, where it rejects, with the process running as it was:
 * what was locked is unlocked. Taken away already: nothing.
 */
export async function suspend(
  calls: CheckpointCalls,
  pid: number,
  lockTimeoutMs: number,
  now: NowMs,
): Promise<SuspendTimes> {
  const state = await calls.state(pid);
  if (state === 'checkpointed') return { lockMs: 0, checkpointMs: 0 };
  if (state === 'failed') throw new Error(`the driver has given up on process ${pid}`);
  const lockMs = state === 'locked' ? 0 : await timed(now, () => calls.lock(pid, lockTimeoutMs));
  try {
    return { lockMs, checkpointMs: await timed(now, () => calls.checkpoint(pid)) };
  } catch (error) {
    await backToRunning(calls, pid);
    throw error;
  }
}

/** A checkpoint that failed may have come to its end all the same. */
async function backToRunning(calls: CheckpointCalls, pid: number): Promise<void> {
  const state = await calls.state(pid);
  if (state === 'checkpointed') await calls.restore(pid, []);
  if (state === 'checkpointed' || state === 'locked') await calls.unlock(pid);
}

/**
 * Ends with the process running on its GPUs. Where it rejects, what was taken away is still in the host's memory, unless the
 * driver says `failed`. Given back already: nothing.
 */
export async function resume(
  calls: CheckpointCalls,
  pid: number,
  pairs: readonly GpuPair[],
  now: NowMs,
): Promise<ResumeTimes> {
  const state = await calls.state(pid);
  if (state === 'failed') throw new Error(`the driver has given up on process ${pid}`);
  const restoreMs =
    state === 'checkpointed' ? await timed(now, () => calls.restore(pid, pairs)) : 0;
  const unlockMs = state === 'running' ? 0 : await timed(now, () => calls.unlock(pid));
  return { restoreMs, unlockMs };
}

/**
 * As `suspend`, of processes that may work together on their GPUs: all are locked before the state of one is taken away, so
 * that none waits for another that has none any more. Where it rejects, all of them run as they did.
 */
export async function suspendAll(
  calls: CheckpointCalls,
  pids: readonly number[],
  lockTimeoutMs: number,
): Promise<void> {
  try {
    for (const pid of pids) {
      if ((await calls.state(pid)) === 'running') await calls.lock(pid, lockTimeoutMs);
    }
    for (const pid of pids) await suspend(calls, pid, lockTimeoutMs, () => 0);
  } catch (error) {
    // One that cannot be asked keeps none of the others.
    await Promise.allSettled(pids.map((pid) => backToRunning(calls, pid)));
    throw error;
  }
}

/** As `resume`, of all of them: each has its state before one goes on. */
export async function resumeAll(
  calls: CheckpointCalls,
  pids: readonly number[],
  pairs: readonly GpuPair[],
): Promise<void> {
  for (const pid of pids) {
    const state = await calls.state(pid);
    if (state === 'failed') throw new Error(`the driver has given up on process ${pid}`);
    if (state === 'checkpointed') await calls.restore(pid, pairs);
  }
  for (const pid of pids) if ((await calls.state(pid)) === 'locked') await calls.unlock(pid);
}

/** A pair for each of its GPUs, by their order: what the driver wants where one is another. Pure. */
export function pairsBetween(from: readonly string[], to: readonly string[]): GpuPair[] {
  if (from.length !== to.length)
    throw new Error(`it works on ${from.length} GPUs, and ${to.length} are there`);
  const pairs = from.map((uuid, index) => ({ from: uuid, to: to[index] ?? '' }));
  return pairs.every((pair) => pair.from === pair.to) ? [] : pairs;
}
