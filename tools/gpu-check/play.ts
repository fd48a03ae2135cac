import { setTimeout as sleep } from 'node:timers/promises';
import { resume, suspend } from '../../src/gpu/checkpoint.ts';
import { CudaError } from '../../src/gpu/driver-library.ts';
import { GpuHelper } from '../../src/gpu/helper-client.ts';
import { Worker } from './worker.ts';

/** What is tried on a GPU, each as a line of the report. */

export interface Line {
  readonly what: string;
  readonly ok: boolean;
  readonly found: string;
  readonly ms?: Readonly<Record<string, number>>;
  /** Bytes of GPU memory that the process had, and that became free. */
  readonly bytes?: number;
  readonly freedBytes?: number;
}

export interface Trial {
  /** The command of a helper. */
  readonly helper: readonly [string, ...string[]];
  /** The command of a process that has so many bytes on the GPU. */
  readonly worker: (bytes: number) => readonly [string, ...string[]];
  readonly say: (line: Line) => void;
}

const MIB = 1024 ** 2;
const LOCK_MS = 30_000;
/** Other programs may take and give back some meanwhile. */
const FREED_SHARE = 0.9;
const SHORT_LOCK_MS = 200;
/** Enough to keep a GPU of today at work for some seconds. */
const BUSY_WRITES = 2_000;
const NOBODY = 'f'.repeat(32);

const nowMs = (): number => performance.now();
const rounded = (ms: number): number => Math.round(ms * 10) / 10;

async function withWorker(
  trial: Trial,
  bytes: number,
  what: string,
  work: (worker: Worker) => Promise<Omit<Line, 'what'>>,
): Promise<Line> {
  let worker: Worker | undefined;
  let line: Line;
  try {
    worker = await Worker.start(trial.worker(bytes));
    line = { what, ...(await work(worker)) };
  } catch (error) {
    line = { what, ok: false, found: error instanceof Error ? error.message : String(error) };
  } finally {
    await worker?.end();
  }
  trial.say(line);
  return line;
}

/** Its memory is taken away, seen to be free, given back, and compared. */
export function thereAndBack(trial: Trial, helper: GpuHelper, bytes: number): Promise<Line> {
  const what = `${bytes / MIB} MiB taken away and given back`;
  return withWorker(trial, bytes, what, async (worker) => {
    const before = await helper.freeBytes();
    const { lockMs, checkpointMs } = await suspend(helper, worker.pid, LOCK_MS, nowMs);
    const freedBytes = (await helper.freeBytes()) - before;
    const { restoreMs, unlockMs } = await resume(helper, worker.pid, [], nowMs);
    const intact = await worker.isIntact();
    const isFreed = freedBytes >= bytes * FREED_SHARE;
    const memory = intact ? 'every byte as it was' : 'THE MEMORY IS NOT WHAT IT WAS';
    const found = isFreed ? memory : `${memory}; only ${freedBytes} bytes became free`;
    const times = { lock: lockMs, checkpoint: checkpointMs, restore: restoreMs, unlock: unlockMs };
    const ms = Object.fromEntries(
      Object.entries(times).map(([name, value]) => [name, rounded(value)]),
    );
    return { ok: intact && isFreed, found, ms, bytes, freedBytes };
  });
}

/** A process whose GPU is at work is not locked within a short time, and runs on. */
export function lockTimesOut(trial: Trial, helper: GpuHelper): Promise<Line> {
  return withWorker(trial, 64 * MIB, 'a lock that takes too long', async (worker) => {
    worker.ask(`busy ${BUSY_WRITES}`);
    await worker.next();
    const said = await refusalOf(() => helper.lock(worker.pid, SHORT_LOCK_MS));
    const state = await helper.state(worker.pid);
    // Some drivers lock at once what others wait for.
    if (state === 'locked') await helper.unlock(worker.pid);
    await worker.next();
    const ok = said === 'CUDA_ERROR_NOT_READY' && state === 'running' && (await worker.isIntact());
    return { ok, found: `${said ?? 'locked all the same'}, and the process is ${state}` };
  });
}

/** A GPU that is not there is refused, and the state is still there for the right one. */
export function wrongGpu(trial: Trial, helper: GpuHelper): Promise<Line> {
  return withWorker(trial, 64 * MIB, 'a GPU that is not there', async (worker) => {
    const { gpus } = await helper.gpus();
    await suspend(helper, worker.pid, LOCK_MS, nowMs);
    const pairs = gpus.map(({ uuid }) => ({ from: uuid, to: NOBODY }));
    const said = await refusalOf(() => helper.restore(worker.pid, pairs));
    const state = await helper.state(worker.pid);
    await resume(helper, worker.pid, [], nowMs);
    const intact = await worker.isIntact();
    const ok = said !== undefined && state === 'checkpointed' && intact;
    return { ok, found: `${said ?? 'restored all the same'}, and the process is ${state}` };
  });
}

/** The helper is killed with a process's state in the host's memory: another one gives it back. */
export function killedHelper(trial: Trial): Promise<Line> {
  return withWorker(trial, 64 * MIB, 'a helper that is killed', async (worker) => {
    const first = new GpuHelper(trial.helper);
    await suspend(first, worker.pid, LOCK_MS, nowMs);
    const { pid } = first;
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    while (first.pid !== undefined) await sleep(10);
    const second = new GpuHelper(trial.helper);
    try {
      const state = await second.state(worker.pid);
      await resume(second, worker.pid, [], nowMs);
      const intact = await worker.isIntact();
      const found = `the next one finds it ${state}, and gives it back`;
      return { ok: state === 'checkpointed' && intact, found };
    } finally {
      second.close();
    }
  });
}

/** The driver's own word; undefined where it refused nothing. */
async function refusalOf(work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof CudaError) return error.result;
    throw error;
  }
}
