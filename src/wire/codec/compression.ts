import zlib from 'node:zlib';
import { Mutex } from '../../mutex.ts';
import { BadFrame } from './bytes.ts';
import type { Method } from './frame.ts';
import {
  compressBound,
  CompressContext,
  DecompressContext,
  DecompressOneContext,
  ZstdError,
  type Parameters,
  type Progress,
} from './zstd.ts';

export interface Choice {
  /** zstd's level; 0 is no compression. */
  readonly level: number;
  /** Above 0: one context over all batches, with a window of 2^windowLog bytes. */
  readonly windowLog: number;
}

/** Longest window on either side: 16 MiB. */
const MAX_WINDOW_LOG = 24;

const { constants } = zlib;
/** A batch that shrinks less than this is sent uncompressed, to save the far side's work. */
const WORTH = 0.97;

export interface CompressionResult {
  readonly method: Method;
  readonly pieces: readonly Buffer[];
  readonly bytes: number;
  /** Time since it was handed to a thread, ms. */
  readonly tookMs: number;
}

/** Compresses in Node's thread pool: independent batches in parallel, batches of a chain in order. */
export class Compressor {
  readonly #chain = new CompressChain();
  #choice: Choice | undefined;
  /**
   * One per processor and one more, because a hand-over takes time on a busy host. More would wait for each
   * other and distort the measurement.
   */
  readonly #lanes: readonly Lane[];
  #lane = 0;

  constructor(cores: number) {
    this.#lanes = Array.from({ length: Math.max(1, Math.floor(cores)) + 1 }, () => new Lane());
  }

  /** The pieces form one body and must not change until this resolves; they may be returned unchanged. */
  async compress(pieces: readonly Buffer[], choice: Choice): Promise<CompressionResult> {
    if (choice.level === 0) {
      this.#choice = undefined;
      return asItIs(pieces);
    }
    if (choice.windowLog === 0) {
      this.#choice = undefined;
      this.#lane = (this.#lane + 1) % this.#lanes.length;
      return (await this.#lanes[this.#lane]?.compress(pieces, choice.level)) ?? asItIs(pieces);
    }
    const { level, windowLog } = this.#choice ?? {};
    const starts = level !== choice.level || windowLog !== choice.windowLog;
    this.#choice = choice;
    return await this.#chain.compress(pieces, choice, starts);
  }
}

const lengthOf = (pieces: readonly Buffer[]): number =>
  pieces.reduce((sum, { length }) => sum + length, 0);

function asItIs(pieces: readonly Buffer[]): CompressionResult {
  return { method: 'none', pieces, bytes: lengthOf(pieces), tookMs: 0 };
}

/** Output memory that grows to the largest batch. */
class Room {
  #room = Buffer.alloc(0);

  of(bytes: number): Buffer {
    if (this.#room.length < bytes) this.#room = Buffer.allocUnsafeSlow(bytes);
    return this.#room;
  }
}

/** Compresses independent batches in order in a reused context. */
class Lane {
  readonly #turns = new Mutex();
  readonly #room = new Room();
  #context: { readonly level: number; readonly zstd: CompressContext } | undefined;

  compress(pieces: readonly Buffer[], level: number): Promise<CompressionResult> {
    return this.#turns.run(async () => {
      const body = Buffer.concat(pieces);
      if (this.#context?.level !== level) {
        const parameters: Parameters = [[constants.ZSTD_c_compressionLevel, level]];
        this.#context = { level, zstd: new CompressContext(parameters, false) };
      }
      const room = this.#room.of(compressBound(body.length));
      const startedMs = performance.now();
      const bytes = await this.#context.zstd.one(body, room);
      const tookMs = performance.now() - startedMs;
      return bytes > body.length * WORTH
        ? { method: 'none', pieces: [body], bytes: body.length, tookMs }
        : { method: 'zstd', pieces: [Buffer.from(room.subarray(0, bytes))], bytes, tookMs };
    });
  }
}

/**
 * Each body of a chain is placed behind the previous one, where zstd finds it again; a chain that has filled the
 * memory restarts. A longer memory means fewer empty windows: at 16 MiB they cost 0.1 % of the bytes.
 */
const RING_BYTES = 16 * 1024 * 1024;

class CompressChain {
  readonly #turns = new Mutex();
  readonly #room = new Room();
  #ring: Buffer | undefined;
  #filled = 0;
  #context: { readonly choice: Choice; readonly zstd: CompressContext } | undefined;

  compress(pieces: readonly Buffer[], choice: Choice, starts: boolean): Promise<CompressionResult> {
    return this.#turns.run(async () => {
      const bodyBytes = lengthOf(pieces);
      const ring = (this.#ring ??= Buffer.allocUnsafeSlow(RING_BYTES));
      const method = starts || this.#filled + bodyBytes > ring.length ? 'chainStart' : 'chain';
      const zstd = method === 'chainStart' ? this.#start(choice) : this.#context?.zstd;
      if (zstd === undefined) throw new Error('a chain goes on that never started');
      const from = this.#filled;
      for (const piece of pieces) this.#filled += piece.copy(ring, this.#filled);
      const room = this.#room.of(compressBound(bodyBytes));
      const startedMs = performance.now();
      const bytes = await zstd.next({ memory: ring, from, to: from + bodyBytes }, room);
      const tookMs = performance.now() - startedMs;
      return { method, pieces: [Buffer.from(room.subarray(0, bytes))], bytes, tookMs };
    });
  }

  #start(choice: Choice): CompressContext {
    this.#filled = 0;
    const { level, windowLog } = this.#context?.choice ?? {};
    if (this.#context === undefined || level !== choice.level || windowLog !== choice.windowLog) {
      this.#context = { choice, zstd: new CompressContext(parametersOf(choice), true) };
    } else {
      this.#context.zstd.reset();
    }
    return this.#context.zstd;
  }
}

/**
 * Larger tables than zstd's, which are too small for the window: a longer window loses more. Level 2 finds more
 * for little extra work. Level 8 with fewer steps is smaller and faster than zstd's 9 on a guest's memory: 30.7
 * MB at 62 MB/s, compared with 31.6 at 75 for level 7 and 31.0 at 47 for level 9
 * (bench/results/wire-codec.md).
 */
const TABLES: Readonly<Record<number, Parameters>> = {
  1: [[constants.ZSTD_c_hashLog, 15]],
  2: [[constants.ZSTD_c_hashLog, 17]],
  8: [
    [constants.ZSTD_c_hashLog, 21],
    [constants.ZSTD_c_chainLog, 20],
    [constants.ZSTD_c_searchLog, 3],
    [constants.ZSTD_c_minMatch, 5],
  ],
};

function parametersOf({ level, windowLog }: Choice): Parameters {
  return [
    [constants.ZSTD_c_compressionLevel, level],
    [constants.ZSTD_c_windowLog, Math.min(windowLog, MAX_WINDOW_LOG)],
    ...(TABLES[level] ?? []),
  ];
}

/** Reused body buffers, and their minimum size. */
const MAX_SPARE = 8;
const MIN_ROOM = 64 * 1024;

/** Decompresses; never more output than the frame announces, nor a window above MAX_WINDOW_LOG. */
export class Decompressor {
  readonly #turns = new Mutex();
  #chain: DecompressContext | undefined;
  #started = false;
  /** Contexts for independent batches, as many as were used at once. */
  readonly #idle: DecompressOneContext[] = [];
  /** Buffers in use by bodies, and reusable ones. */
  readonly #lent = new Map<ArrayBufferLike, Buffer>();
  readonly #spare: Buffer[] = [];

  /** Batches of a chain must come in order. Throws BadFrame. */
  decompress(method: Method, payload: Buffer, plainBytes: number): Promise<Buffer> {
    if (method === 'none') return Promise.resolve(payload);
    if (method === 'zstd') return this.#expandAlone(payload, plainBytes);
    return this.#turns.run(() => this.#expand(method === 'chainStart', payload, plainBytes));
  }

  recycle(body: Buffer): void {
    const room = this.#lent.get(body.buffer);
    if (room === undefined) return;
    this.#lent.delete(body.buffer);
    if (this.#spare.length < MAX_SPARE) this.#spare.push(room);
  }

  /** Memory for a body and one more byte, which detects a longer body. */
  #room(plainBytes: number): Buffer {
    const spare = this.#spare.pop();
    const fits = spare !== undefined && spare.length > plainBytes;
    const room = fits ? spare : Buffer.allocUnsafeSlow(Math.max(plainBytes + 1, MIN_ROOM));
    this.#lent.set(room.buffer, room);
    return room.subarray(0, plainBytes + 1);
  }

  async #expand(starts: boolean, payload: Buffer, plainBytes: number): Promise<Buffer> {
    if (!starts && !this.#started) throw new BadFrame('it goes on with a chain that never started');
    this.#started = false;
    const out = this.#room(plainBytes);
    const { read, written } = await this.#next(starts, payload, out).catch(asBadFrame);
    if (written > plainBytes) throw new BadFrame('it holds more than it says');
    if (written < plainBytes) throw new BadFrame(`it has ${written} bytes, not ${plainBytes}`);
    if (read < payload.length) throw new BadFrame('it goes on behind its end');
    this.#started = true;
    return out.subarray(0, plainBytes);
  }

  async #next(starts: boolean, payload: Buffer, out: Buffer): Promise<Progress> {
    this.#chain ??= new DecompressContext(MAX_WINDOW_LOG);
    if (starts) this.#chain.start(payload);
    return await this.#chain.next(payload, out);
  }

  async #expandAlone(payload: Buffer, plainBytes: number): Promise<Buffer> {
    const context = this.#idle.pop() ?? new DecompressOneContext();
    const out = this.#room(plainBytes);
    const written = await context.one(payload, out).catch(asBadFrame);
    this.#idle.push(context);
    if (written !== plainBytes) throw new BadFrame(`it has ${written} bytes, not ${plainBytes}`);
    return out.subarray(0, plainBytes);
  }
}

function asBadFrame(error: unknown): never {
  if (!(error instanceof ZstdError)) throw error;
  throw new BadFrame(`it does not decompress: ${error.message}`);
}
