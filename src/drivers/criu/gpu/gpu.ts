import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { godwitError, GodwitError, toGodwitError } from '../../../errors.ts';
import { resumeAll, suspendAll } from '../../../gpu/checkpoint.ts';
import { CudaError, NoGpu, type GpuPair } from '../../../gpu/driver-library.ts';
import {
  APP_FIELDS,
  GPU_FIELDS,
  parseApps,
  parseGpus,
  type GpuApp,
  type GpuFacts,
} from '../../../gpu/facts.ts';
import { GpuHelper } from '../../../gpu/helper-client.ts';
import type { BootProcess } from '../../../system/processes/life.ts';
import { pids as allProcesses } from '../../../system/processes/process.ts';
import { filesOf, hasEnded, identify } from '../host/processes.ts';
import type { Runc } from '../runtimes/runc.ts';

/**
 * Host's GPUs, and the state of a container's processes on them. It is removed before the container freezes and
 * restored once it runs, because the driver does not answer for frozen processes.
 */

const PROGRAM = fileURLToPath(new URL('../../../bin/gpu-helper.ts', import.meta.url));
/** Time for a process's outstanding GPU work. */
const LOCK_MS = 30_000;
const FORMAT = '--format=csv,noheader,nounits';

export interface HostGpuFacts {
  readonly gpus: readonly GpuFacts[];
  readonly apps: readonly GpuApp[];
  /** A server shares GPUs between processes (MPS). */
  readonly shared: boolean;
}

export class HostGpus {
  readonly #host: string;
  readonly #runc: Pick<Runc, 'run'>;
  readonly #helper: GpuHelper;

  constructor(host: string, runc: Pick<Runc, 'run'>, library: string) {
    this.#host = host;
    this.#runc = runc;
    this.#helper = new GpuHelper([process.execPath, PROGRAM, library]);
  }

  async facts(signal: AbortSignal): Promise<HostGpuFacts | string> {
    const ask = (what: string): Promise<string> =>
      this.#runc.run(['nvidia-smi', what, FORMAT], { signal });
    try {
      const [gpus, apps] = await Promise.all([
        ask(`--query-gpu=${GPU_FIELDS.join()}`),
        ask(`--query-compute-apps=${APP_FIELDS.join()}`),
        this.#helper.gpus(),
      ]);
      return { gpus: parseGpus(gpus), apps: parseApps(apps), shared: await hasMps() };
    } catch (error) {
      signal.throwIfAborted();
      return error instanceof Error ? error.message.slice(0, 300) : String(error);
    }
  }

  /** All or none: if it rejects, each process continues to work. */
  async takeAway(pids: readonly number[]): Promise<void> {
    await this.#named('checkpoint', () => suspendAll(this.#helper, pids, LOCK_MS));
  }

  /** Can be repeated. Rejects if some state remains in host memory. */
  async giveBack(pids: readonly number[], pairs: readonly GpuPair[]): Promise<void> {
    await this.#named('restore', () => resumeAll(this.#helper, pids, pairs));
  }

  /** Processes whose state was removed or locked. Rejects if the driver does not report one. */
  async suspended(pids: readonly number[]): Promise<number[]> {
    return this.#named('state', async () => {
      const found: number[] = [];
      for (const pid of pids) {
        if ((await mapsDriver(pid)) && (await this.#isSuspended(pid))) found.push(pid);
      }
      return found;
    });
  }

  async #isSuspended(pid: number): Promise<boolean> {
    try {
      return (await this.#helper.state(pid)) !== 'running';
    } catch (cause) {
      if (!(cause instanceof CudaError)) throw cause;
      if (NO_STATE.has(cause.result)) return false;
      throw new CudaError(`${cause.call} of process ${pid}`, cause.result);
    }
  }

  /** Reason why processes with the driver's library but no open GPU may have removed state; undefined if none has. */
  async whySuspended(pids: readonly number[]): Promise<string | undefined> {
    try {
      const [pid] = await this.suspended(pids);
      if (pid === undefined) return undefined;
      return `the state of process ${pid} has been taken away, and was not given back`;
    } catch (error) {
      const isNone = error instanceof GodwitError && error.cause instanceof NoGpu;
      if (isNone && !existsSync(CONTROL)) return undefined;
      return `its driver does not say whether there is any: ${toGodwitError(error).message}`;
    }
  }

  /** Helper process that calls the driver. It finishes a call even if this process ends. */
  async helper(): Promise<BootProcess> {
    return this.#named('gpus', async () => {
      await this.#helper.gpus();
      const { pid } = this.#helper;
      const found = pid === undefined ? undefined : identify(pid);
      if (found === undefined) throw new CudaError('helper', 'it has ended');
      return found;
    });
  }

  close(): void {
    this.#helper.close();
  }

  async #named<T>(command: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (!(cause instanceof CudaError || cause instanceof NoGpu)) throw cause;
      const facts = { hypervisor: 'cuda', host: this.#host, command, reason: cause.message };
      throw godwitError('GODWIT_HYPERVISOR', facts, { cause, hint: hintOf(cause) });
    }
  }
}

/** Errors for a process that has the library but does not use it. */
const NO_STATE: ReadonlySet<string> = new Set([
  'CUDA_ERROR_INVALID_VALUE',
  'CUDA_ERROR_NOT_INITIALIZED',
]);
const CONTROL = '/dev/nvidiactl';

const HINTS: Readonly<Record<string, string>> = {
  CUDA_ERROR_NOT_READY:
    'The GPU worked for longer than 30 s on what it had been asked for. Try again when it has less to do.',
  CUDA_ERROR_NOT_SUPPORTED:
    'The driver cannot take away memory that processes share on a GPU (CUDA IPC, MPS), nor, in some versions, unified memory. Move the container cold, or start its program without those.',
};

function hintOf(cause: Error): string {
  const known = cause instanceof CudaError ? HINTS[cause.result] : undefined;
  return known ?? 'The container works on where it is. `dmesg` has what the driver reported.';
}

function isGpuFile(target: string): boolean {
  return target.startsWith('/dev/nvidia');
}

export async function onGpu(pids: readonly number[]): Promise<number[]> {
  const found: number[] = [];
  for (const pid of pids) {
    if ([...(await filesOf(pid)).values()].some(isGpuFile)) found.push(pid);
  }
  return found;
}

/** The kernel limits process names to 15 characters. */
async function hasMps(): Promise<boolean> {
  for (const pid of allProcesses()) {
    const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
    if (name.startsWith('nvidia-cuda-mps')) return true;
  }
  return false;
}

async function mapsDriver(pid: number): Promise<boolean> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8').catch(hasEnded);
  return maps?.includes('/libcuda.so') === true;
}
