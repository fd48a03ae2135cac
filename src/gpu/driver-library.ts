import { createRequire } from 'node:module';

/**
 * The driver's library (libcuda) through koffi: calls for checkpoints and for their tests. Structures as of driver
 * release 580 (CUDA 13); without remapping they equal those of 570.
 */

export const PROCESS_STATES = ['running', 'locked', 'checkpointed', 'failed'] as const;
export type ProcessState = (typeof PROCESS_STATES)[number];

export interface Gpu {
  readonly index: number;
  readonly name: string;
  /** Sixteen bytes in hexadecimal. */
  readonly uuid: string;
  readonly totalBytes: number;
}

export interface GpuPair {
  readonly from: string;
  readonly to: string;
}

export class CudaError extends Error {
  readonly call: string;
  readonly result: string;

  constructor(call: string, result: string) {
    super(`${call}: ${result}`);
    this.call = call;
    this.result = result;
  }
}

export class NoGpu extends Error {}

/** Expected error names; others are shown by number. */
const RESULTS: Readonly<Record<number, string>> = {
  1: 'CUDA_ERROR_INVALID_VALUE',
  2: 'CUDA_ERROR_OUT_OF_MEMORY',
  3: 'CUDA_ERROR_NOT_INITIALIZED',
  34: 'CUDA_ERROR_STUB_LIBRARY',
  36: 'CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER',
  100: 'CUDA_ERROR_NO_DEVICE',
  101: 'CUDA_ERROR_INVALID_DEVICE',
  201: 'CUDA_ERROR_INVALID_CONTEXT',
  401: 'CUDA_ERROR_ILLEGAL_STATE',
  600: 'CUDA_ERROR_NOT_READY',
  801: 'CUDA_ERROR_NOT_SUPPORTED',
  999: 'CUDA_ERROR_UNKNOWN',
};

type Call = (...args: readonly unknown[]) => number;

/** The used part of koffi, whose types exist only if it is installed. */
interface Koffi {
  load(file: string): { func(signature: string): Call };
  address(value: Buffer): bigint;
}

function koffi(): Koffi {
  return createRequire(import.meta.url)('koffi') as Koffi;
}

const SIGNATURES = {
  cuInit: 'int cuInit(uint)',
  cuDriverGetVersion: 'int cuDriverGetVersion(void *)',
  cuDeviceGetCount: 'int cuDeviceGetCount(void *)',
  cuDeviceGetName: 'int cuDeviceGetName(void *, int, int)',
  cuDeviceGetUuid: 'int cuDeviceGetUuid_v2(void *, int)',
  cuDeviceTotalMem: 'int cuDeviceTotalMem_v2(void *, int)',
  cuDevicePrimaryCtxRetain: 'int cuDevicePrimaryCtxRetain(void *, int)',
  cuCtxSetCurrent: 'int cuCtxSetCurrent(uintptr_t)',
  cuMemGetInfo: 'int cuMemGetInfo_v2(void *, void *)',
  cuMemAlloc: 'int cuMemAlloc_v2(void *, size_t)',
  cuMemcpyHtoD: 'int cuMemcpyHtoD_v2(uint64_t, void *, size_t)',
  cuMemcpyDtoH: 'int cuMemcpyDtoH_v2(void *, uint64_t, size_t)',
  cuMemsetD8Async: 'int cuMemsetD8Async(uint64_t, uint8_t, size_t, uintptr_t)',
  cuCtxSynchronize: 'int cuCtxSynchronize()',
} as const;

const CHECKPOINT = {
  cuCheckpointProcessGetState: 'int cuCheckpointProcessGetState(int, void *)',
  cuCheckpointProcessLock: 'int cuCheckpointProcessLock(int, void *)',
  cuCheckpointProcessCheckpoint: 'int cuCheckpointProcessCheckpoint(int, void *)',
  cuCheckpointProcessRestore: 'int cuCheckpointProcessRestore(int, void *)',
  cuCheckpointProcessUnlock: 'int cuCheckpointProcessUnlock(int, void *)',
} as const;

type Name = keyof typeof SIGNATURES | keyof typeof CHECKPOINT;

/** Length of each argument structure; unset fields must be zero. */
const ARGS_BYTES = 72;
const PAIR_BYTES = 32;

export class DriverLibrary {
  readonly #calls: ReadonlyMap<Name, Call>;

  private constructor(calls: ReadonlyMap<Name, Call>) {
    this.#calls = calls;
  }

  static open(file: string): DriverLibrary {
    const calls = new Map<Name, Call>();
    try {
      const library = koffi().load(file);
      for (const [name, signature] of Object.entries(SIGNATURES))
        calls.set(name as Name, library.func(signature));
      for (const [name, signature] of Object.entries(CHECKPOINT)) {
        const call = optional(() => library.func(signature));
        if (call !== undefined) calls.set(name as Name, call);
      }
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new NoGpu(`${file} cannot be loaded: ${reason.split('\n')[0]}`, { cause });
    }
    const library = new DriverLibrary(calls);
    try {
      library.#call('cuInit', 0);
    } catch (cause) {
      throw new NoGpu(cause instanceof Error ? cause.message : String(cause), { cause });
    }
    if (library.gpus().length === 0) throw new NoGpu('the driver knows no GPU');
    return library;
  }

  #call(name: Name, ...args: readonly unknown[]): void {
    const call = this.#calls.get(name);
    if (call === undefined) throw new CudaError(name, 'the driver is older than 570');
    const result = call(...args);
    if (result !== 0) throw new CudaError(name, RESULTS[result] ?? `CUDA_ERROR ${result}`);
  }

  #int(name: Name): number {
    const out = Buffer.alloc(4);
    this.#call(name, out);
    return out.readInt32LE();
  }

  /** CUDA's number: 12080 is 12.8, the first with checkpoints. */
  version(): number {
    return this.#int('cuDriverGetVersion');
  }

  gpus(): Gpu[] {
    return Array.from({ length: this.#int('cuDeviceGetCount') }, (_, index): Gpu => {
      const [name, uuid, total] = [Buffer.alloc(128), Buffer.alloc(16), Buffer.alloc(8)];
      this.#call('cuDeviceGetName', name, name.length, index);
      this.#call('cuDeviceGetUuid', uuid, index);
      this.#call('cuDeviceTotalMem', total, index);
      return {
        index,
        name: name.toString('utf8', 0, name.indexOf(0)),
        uuid: uuid.toString('hex'),
        totalBytes: Number(total.readBigUInt64LE()),
      };
    });
  }

  use(index: number): void {
    const context = Buffer.alloc(8);
    this.#call('cuDevicePrimaryCtxRetain', context, index);
    this.#call('cuCtxSetCurrent', context.readBigUInt64LE());
  }

  freeBytes(): number {
    const [free, total] = [Buffer.alloc(8), Buffer.alloc(8)];
    this.#call('cuMemGetInfo', free, total);
    return Number(free.readBigUInt64LE());
  }

  allocate(bytes: number): bigint {
    const out = Buffer.alloc(8);
    this.#call('cuMemAlloc', out, bytes);
    return out.readBigUInt64LE();
  }

  write(at: bigint, bytes: Buffer): void {
    this.#call('cuMemcpyHtoD', at, bytes, bytes.length);
  }

  read(at: bigint, into: Buffer): void {
    this.#call('cuMemcpyDtoH', into, at, into.length);
  }

  /** Queues writes of the same bytes; returns before they are done. */
  busy(at: bigint, bytes: number, times: number): void {
    for (let done = 0; done < times; done += 1)
      this.#call('cuMemsetD8Async', at, done & 0xff, bytes, 0);
  }

  settle(): void {
    this.#call('cuCtxSynchronize');
  }

  state(pid: number): ProcessState {
    const out = Buffer.alloc(4);
    this.#call('cuCheckpointProcessGetState', pid, out);
    return PROCESS_STATES[out.readInt32LE()] ?? 'failed';
  }

  /** Waits until the process's GPU work is done, and blocks further calls. */
  lock(pid: number, timeoutMs: number): void {
    const args = Buffer.alloc(ARGS_BYTES);
    args.writeUInt32LE(timeoutMs, 0);
    this.#call('cuCheckpointProcessLock', pid, args);
  }

  /** Copies its GPU memory to the host and releases the GPUs. */
  checkpoint(pid: number): void {
    this.#call('cuCheckpointProcessCheckpoint', pid, Buffer.alloc(ARGS_BYTES));
  }

  /** `pairs`: every GPU if they have changed; empty: the same ones. */
  restore(pid: number, pairs: readonly GpuPair[]): void {
    const args = Buffer.alloc(ARGS_BYTES);
    const list = Buffer.alloc(Math.max(1, pairs.length) * PAIR_BYTES);
    for (const [index, { from, to }] of pairs.entries()) {
      list.write(from, index * PAIR_BYTES, 16, 'hex');
      list.write(to, index * PAIR_BYTES + 16, 16, 'hex');
    }
    if (pairs.length > 0) args.writeBigUInt64LE(koffi().address(list), 0);
    args.writeUInt32LE(pairs.length, 8);
    this.#call('cuCheckpointProcessRestore', pid, args);
  }

  unlock(pid: number): void {
    this.#call('cuCheckpointProcessUnlock', pid, Buffer.alloc(ARGS_BYTES));
  }
}

function optional<T>(get: () => T): T | undefined {
  try {
    return get();
  } catch {
    return undefined;
  }
}
