import zlib from 'node:zlib';
import { nativeLibrary } from '../../system/native-calls.ts';

/**
 * zstd's functions in Node's binary, called through koffi. node:zlib copies the input into zstd's window;
 * `stableInBuffer` avoids that, which saves about 30 % of processor time at levels 1 to 4.
 *
 * All rules that keep the addresses in the caller's memory are in this file: each range is checked against its
 * buffer, a buffer is referenced until its call returns, and a context serves one call at a time. A context is
 * in its own buffer (`ZSTD_initStatic…`), so nothing must be freed. Node waits for the work in its pool, so a
 * terminated thread ends after its calls.
 */

type Size = number | bigint;
const SIGNATURES = {
  isError: 'unsigned int ZSTD_isError(size_t)',
  getErrorName: 'const char *ZSTD_getErrorName(size_t)',
  compressBound: 'size_t ZSTD_compressBound(size_t)',
  createParams: 'uintptr_t ZSTD_createCCtxParams()',
  freeParams: 'size_t ZSTD_freeCCtxParams(uintptr_t)',
  setParam: 'size_t ZSTD_CCtxParams_setParameter(uintptr_t, int, int)',
  streamSize: 'size_t ZSTD_estimateCStreamSize_usingCCtxParams(uintptr_t)',
  initCompress: 'uintptr_t ZSTD_initStaticCCtx(uintptr_t, size_t)',
  useParams: 'size_t ZSTD_CCtx_setParametersUsingCCtxParams(uintptr_t, uintptr_t)',
  resetCompress: 'size_t ZSTD_CCtx_reset(uintptr_t, int)',
  compress:
    'size_t ZSTD_compressStream2_simpleArgs(uintptr_t, uintptr_t, size_t, uintptr_t, uintptr_t, size_t, uintptr_t, int)',
  compressOne: 'size_t ZSTD_compress2(uintptr_t, uintptr_t, size_t, uintptr_t, size_t)',
  decompressSize: 'size_t ZSTD_estimateDStreamSize(size_t)',
  frameSize: 'size_t ZSTD_estimateDStreamSize_fromFrame(uintptr_t, size_t)',
  decompressOneSize: 'size_t ZSTD_estimateDCtxSize()',
  initDecompress: 'uintptr_t ZSTD_initStaticDCtx(uintptr_t, size_t)',
  setDecompress: 'size_t ZSTD_DCtx_setParameter(uintptr_t, int, int)',
  resetDecompress: 'size_t ZSTD_DCtx_reset(uintptr_t, int)',
  decompress:
    'size_t ZSTD_decompressStream_simpleArgs(uintptr_t, uintptr_t, size_t, uintptr_t, uintptr_t, size_t, uintptr_t)',
  decompressOne: 'size_t ZSTD_decompressDCtx(uintptr_t, uintptr_t, size_t, uintptr_t, size_t)',
} as const;

const STABLE_IN_BUFFER = 1006;
const RESET_SESSION = 1;
const { ZSTD_e_flush, ZSTD_d_windowLogMax } = zlib.constants;

const library = nativeLibrary<keyof typeof SIGNATURES, string>(SIGNATURES);

/** Error of zstd; in decompression the payload is damaged. */
export class ZstdError extends Error {}

function checked(result: Size | string): number {
  const { calls } = library();
  if (calls.isError(result) === 0) return Number(result);
  throw new ZstdError(`zstd: ${calls.getErrorName(result)}`);
}

/** Bytes `from` to `to` of memory that stays alive and in place during a call. */
export interface Range {
  readonly memory: Buffer;
  readonly from: number;
  readonly to: number;
}

export interface Progress {
  readonly read: number;
  readonly written: number;
}

const whole = (memory: Buffer): Range => ({ memory, from: 0, to: memory.length });

function checkRange({ memory, from, to }: Range): void {
  const sound =
    Number.isSafeInteger(from) &&
    Number.isSafeInteger(to) &&
    from >= 0 &&
    from <= to &&
    to <= memory.length;
  if (!sound) throw new RangeError(`bytes ${from} to ${to} of ${memory.length}`);
}

/** Context in separate memory, with the position variables of a call. */
class Context {
  readonly #workspace: Buffer;
  readonly handle: Size | string;
  readonly #positions = new BigUint64Array(2);
  readonly #at: bigint;
  #busy = false;

  constructor(bytes: number, init: 'initCompress' | 'initDecompress') {
    const { koffi, calls } = library();
    this.#workspace = Buffer.allocUnsafeSlow(bytes);
    this.handle = calls[init](koffi.address(this.#workspace), bytes);
    this.#at = koffi.address(new Uint8Array(this.#positions.buffer));
    if (Number(this.handle) === 0) throw new ZstdError(`zstd: no context in ${bytes} bytes`);
  }

  idle(): void {
    if (this.#busy) throw new Error('a context of zstd serves one call at a time');
  }

  /** Streams `input` to `output`; returns the progress in both. */
  async stream(
    call: 'compress' | 'decompress',
    input: Range,
    output: Range,
    ...more: readonly number[]
  ): Promise<Progress> {
    this.idle();
    checkRange(input);
    checkRange(output);
    this.#positions[0] = BigInt(output.from);
    this.#positions[1] = BigInt(input.from);
    const { address } = library().koffi;
    const out = [address(output.memory), output.to, this.#at];
    const into = [address(input.memory), input.to, this.#at + 8n];
    await this.run(call, [input, output], ...out, ...into, ...more);
    const [written, read] = [Number(this.#positions[0]), Number(this.#positions[1])];
    return { read: read - input.from, written: written - output.from };
  }

  /** Processes a whole buffer into another; returns the output's length. */
  async one(call: 'compressOne' | 'decompressOne', input: Buffer, output: Buffer): Promise<number> {
    const { address } = library().koffi;
    const into = [address(input), input.length];
    return await this.run(call, [input, output], address(output), output.length, ...into);
  }

  /** Calls in Node's pool. The callback references all memory that the call uses. */
  run(
    call: 'compress' | 'compressOne' | 'decompress' | 'decompressOne',
    memory: readonly unknown[],
    ...args: readonly unknown[]
  ): Promise<number> {
    this.idle();
    this.#busy = true;
    const used = { context: this, workspace: this.#workspace, memory };
    const called = new Promise<Size>((resolve, reject) => {
      const done = (error: Error | null, result: Size): void => {
        used.context.#busy = false;
        if (error === null) resolve(result);
        else reject(error);
      };
      library().calls[call].async(this.handle, ...args, done);
    });
    return called.then(checked);
  }
}

/** zstd parameters (`zlib.constants.ZSTD_c_…`) with values. */
export type Parameters = readonly (readonly [parameter: number, value: number])[];

export class CompressContext {
  readonly #context: Context;
  /** Memory of the frame, to which zstd refers between calls, and the offset of its next bytes. */
  #frame: { readonly memory: Buffer; readonly end: number } | undefined;

  /** `inPlace`: each call continues in the same memory at the previous end. */
  constructor(parameters: Parameters, inPlace: boolean) {
    const { calls } = library();
    const params = calls.createParams();
    if (Number(params) === 0) throw new ZstdError('zstd: no memory for parameters');
    try {
      for (const [name, value] of parameters) checked(calls.setParam(params, name, value));
      if (inPlace) checked(calls.setParam(params, STABLE_IN_BUFFER, 1));
      this.#context = new Context(checked(calls.streamSize(params)), 'initCompress');
      checked(calls.useParams(this.#context.handle, params));
    } finally {
      calls.freeParams(params);
    }
  }

  /** Starts a new frame with the next call. */
  reset(): void {
    this.#context.idle();
    checked(library().calls.resetCompress(this.#context.handle, RESET_SESSION));
    this.#frame = undefined;
  }

  /**
   * Compresses the next bytes of a frame into `output` and flushes. Earlier bytes of the frame before
   * `input.from` must still be there, because zstd refers to them.
   */
  async next(input: Range, output: Buffer): Promise<number> {
    const { memory, end } = this.#frame ?? { memory: input.memory, end: input.from };
    if (memory !== input.memory || end !== input.from) {
      throw new RangeError(`a frame goes on at ${end} of its memory, not at ${input.from}`);
    }
    checkRange(input);
    this.#frame = { memory, end: input.to };
    const room = whole(output);
    const { read, written } = await this.#context.stream('compress', input, room, ZSTD_e_flush);
    if (read !== input.to - input.from) throw new ZstdError('zstd: the output has no room');
    return written;
  }

  one(input: Buffer, output: Buffer): Promise<number> {
    return this.#context.one('compressOne', input, output);
  }
}

/** Maximum output size for that many bytes. */
export function compressBound(bytes: number): number {
  return checked(library().calls.compressBound(bytes));
}

/** Decompresses frames in pieces, each in a context of its window's size. */
export class DecompressContext {
  readonly #maxWindowLog: number;
  readonly #maxBytes: number;
  #context: { readonly zstd: Context; readonly bytes: number } | undefined;

  /** Rejects a frame with a window above 2^maxWindowLog bytes. */
  constructor(maxWindowLog: number) {
    this.#maxWindowLog = maxWindowLog;
    this.#maxBytes = checked(library().calls.decompressSize(2 ** maxWindowLog));
  }

  /** Starts with a frame's first piece without consuming it. Throws ZstdError for damaged input. */
  start(piece: Buffer): void {
    const { koffi, calls } = library();
    const bytes = checked(calls.frameSize(koffi.address(piece), piece.length));
    if (bytes > this.#maxBytes) throw new ZstdError('zstd: the window is too long');
    if (this.#context === undefined || this.#context.bytes < bytes) {
      this.#context = { zstd: new Context(bytes, 'initDecompress'), bytes };
      const { handle } = this.#context.zstd;
      checked(calls.setDecompress(handle, ZSTD_d_windowLogMax, this.#maxWindowLog));
    } else {
      this.#context.zstd.idle();
      checked(calls.resetDecompress(this.#context.zstd.handle, RESET_SESSION));
    }
  }

  next(input: Buffer, output: Buffer): Promise<Progress> {
    if (this.#context === undefined) throw new Error('no frame was started');
    return this.#context.zstd.stream('decompress', whole(input), whole(output));
  }
}

/** Decompresses complete frames into memory for the whole output: zstd keeps no window. */
export class DecompressOneContext {
  readonly #context: Context;

  constructor() {
    const bytes = checked(library().calls.decompressOneSize());
    this.#context = new Context(bytes, 'initDecompress');
  }

  /** Returns the frame's length. Throws ZstdError for damaged input, and for a frame longer than `output`. */
  one(input: Buffer, output: Buffer): Promise<number> {
    return this.#context.one('decompressOne', input, output);
  }
}
