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
 * The GPUs of a host, and the state that a container's processes have on them. It is taken away before the container is
 * frozen, and given back once it runs: the driver does not answer for a process that is frozen.
 */

const PROGRAM = fileURLToPath(new URL('../../../bin/gpu-helper.ts', import.meta.url));
/** For what a process has asked of its GPU to be done. */
const LOCK_MS = 30_000;
const FORMAT = '--format=csv,noheader,nounits';

export interface HostGpuFacts {
  readonly gpus: readonly GpuFacts[];
  readonly apps: readonly GpuApp[];
  /** A server that shares GPUs between processes (MPS). */
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

  /** What the driver says; why it says nothing, where there is none, or one that cannot take state away. */
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

  /** All or none: where it rejects, each of them works on as it did. */
  async takeAway(pids: readonly number[]): Promise<void> {
    await this.#named('checkpoint', () => suspendAll(this.#helper, pids, LOCK_MS));
  }

  /** May be repeated. Rejects where a state is still in the host's memory. */
  async giveBack(pids: readonly number[], pairs: readonly GpuPair[]): Promise<void> {
    await this.#named('restore', () => resumeAll(this.#helper, pids, pairs));
  }

  /** Those whose state the driver has taken away, or has locked. Rejects where it does not say that of one. */
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

  /** Why processes that have the driver's library, and no GPU open, may have state all the same; undefined where none has. */
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

  /** Who calls the driver for this process. It goes on with a call where this process ends. */
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

/** Of a process that has the library and does not work with it. */
const NO_STATE: ReadonlySet<string> = new Set([
  'CUDA_ERROR_INVALID_VALUE',
  'CUDA_ERROR_NOT_INITIALIZED',
]);
/** Where the kernel has the driver. */
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

/** A file of NVIDIA's driver. Pure. */
function isGpuFile(target: string): boolean {
  return target.startsWith('/dev/nvidia');
}

/** Those of these processes that work on a GPU. */
export async function onGpu(pids: readonly number[]): Promise<number[]> {
  const found: number[] = [];
  for (const pid of pids) {
    if ([...(await filesOf(pid)).values()].some(isGpuFile)) found.push(pid);
  }
  return found;
}

/** The name of a process has fifteen characters in the kernel. */
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
