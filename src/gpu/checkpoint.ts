import type { GpuPair, ProcessState } from './driver-library.ts';

/** The driver's calls. Each rejects with the driver's error. */
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
 * Moves the GPU state to host memory and releases the GPUs; on rejection the process is unlocked and runs as before.
 * Does nothing if already suspended.
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

/** A failed checkpoint may have been completed all the same. */
async function backToRunning(calls: CheckpointCalls, pid: number): Promise<void> {
  const state = await calls.state(pid);
  if (state === 'checkpointed') await calls.restore(pid, []);
  if (state === 'checkpointed' || state === 'locked') await calls.unlock(pid);
}

/**
 * Resumes the process on its GPUs. On rejection its state is still in host memory, unless the driver reports `failed`.
 * Does nothing if already resumed.
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
 * Like `suspend`, for processes that may cooperate on GPUs: all are locked before the first loses its state, so that
 * none waits for another. On rejection all run as before.
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
    // One that cannot be queried must not stop the others.
    await Promise.allSettled(pids.map((pid) => backToRunning(calls, pid)));
    throw error;
  }
}

/** Like `resume`: all get their state before the first continues. */
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

/** A pair per GPU, in order, as the driver requires for different GPUs. Pure. */
export function pairsBetween(from: readonly string[], to: readonly string[]): GpuPair[] {
  if (from.length !== to.length)
    throw new Error(`it works on ${from.length} GPUs, and ${to.length} are there`);
  const pairs = from.map((uuid, index) => ({ from: uuid, to: to[index] ?? '' }));
  return pairs.every((pair) => pair.from === pair.to) ? [] : pairs;
}
