import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { Mutex } from '../../mutex.ts';
import { BadFrame } from './bytes.ts';
import type { Method } from './frame.ts';

/** How batches are compressed. */
export interface Choice {
  /** zstd's; 0 compresses not at all. */
  readonly level: number;
  /** Above 0: one context over all batches, with a window of 2^windowLog bytes. */
  readonly windowLog: number;
}

/** The longest window that either side holds: 16 MiB. */
const MAX_WINDOW_LOG = 24;

const { constants } = zlib;
const compressOne = promisify(zlib.zstdCompress);
const decompressOne = promisify(zlib.zstdDecompress);
/** Where compression saves less than this, the batch goes as it is, and the far side is spared the work. */
const WORTH = 0.97;
const CHUNK_BYTES = 512 * 1024;

export interface Compressed {
  readonly method: Method;
  readonly pieces: readonly Buffer[];
  readonly bytes: number;
  /** From when it was handed to a thread. */
  readonly tookMs: number;
}

/**
 * Compresses on Node's pool of threads: batches of their own in parallel, batches of a chain one after the
 * other in the order of the calls. Only public calls of node:zlib.
 */
export class Compressor {
  #chain: Chain | undefined;
  #choice: Choice | undefined;
  /**
   * One a processor, and one that has begun when another ends: on a busy host each hand-over takes its time. More
   * would only wait for each other, and spoil what is measured.
   */
  readonly #lanes: Promise<unknown>[];
  #lane = 0;

  constructor(cores: number) {
    this.#lanes = Array.from({ length: Math.max(1, Math.floor(cores)) + 1 }, () =>
      Promise.resolve(),
    );
  }

  /** The pieces are one body, and must not change until this resolves; they may come back as they are. */
  async compress(pieces: readonly Buffer[], choice: Choice): Promise<Compressed> {
    if (choice.level === 0) {
      this.close();
      return asItIs(pieces);
    }
    if (choice.windowLog === 0) {
      this.close();
      const lane = (this.#lane += 1) % this.#lanes.length;
      const compressed = this.#lanes[lane]?.then(() => alone(pieces, choice.level));
      this.#lanes[lane] = compressed?.catch(() => undefined) ?? Promise.resolve();
      return (await compressed) ?? asItIs(pieces);
    }
    const { level, windowLog } = this.#choice ?? {};
    const goesOn = level === choice.level && windowLog === choice.windowLog;
    if (!goesOn || this.#chain === undefined) {
      this.close();
      this.#chain = new Chain(compressStream(choice));
      this.#choice = choice;
    }
    const { out, bytes, tookMs } = await this.#chain.feed(pieces, Infinity);
    return { method: goesOn ? 'chain' : 'chainStart', pieces: out, bytes, tookMs };
  }

  /** Ends the chain; the next one starts anew. What was fed before still comes. */
  close(): void {
    this.#chain?.end();
    this.#chain = undefined;
    this.#choice = undefined;
  }
}

/** Output in one piece: of Node's usual 16 KiB each takes a round through the pool of threads. */
function chunkFor(bytes: number): number {
  return Math.min(Math.max(bytes, 1024) + 64, 2 * CHUNK_BYTES);
}

function asItIs(pieces: readonly Buffer[]): Compressed {
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
  return { method: 'none', pieces, bytes, tookMs: 0 };
}

async function alone(pieces: readonly Buffer[], level: number): Promise<Compressed> {
  const body = Buffer.concat(pieces);
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  const startedMs = performance.now();
  const payload = await compressOne(body, { params, chunkSize: chunkFor(body.length) });
  const tookMs = performance.now() - startedMs;
  return payload.length > body.length * WORTH
    ? { method: 'none', pieces: [body], bytes: body.length, tookMs }
    : { method: 'zstd', pieces: [payload], bytes: payload.length, tookMs };
}

/**
 * Where zstd's own tables are too small for the window, for the longer the window, the more of it they forget. Level 2
 * finds more for next to no more work; level 8 with fewer steps is smaller than zstd's 9 on a guest's memory, and faster:
 * 30.7 MB at 62 MB/s where 7 has 31.6 at 75, 9 has 31.0 at 47 (docs/measurements/wire-codec.md).
 */
const TABLES: Readonly<Record<number, Record<number, number>>> = {
  2: { [constants.ZSTD_c_hashLog]: 17 },
  8: {
    [constants.ZSTD_c_hashLog]: 21,
    [constants.ZSTD_c_chainLog]: 20,
    [constants.ZSTD_c_searchLog]: 3,
    [constants.ZSTD_c_minMatch]: 5,
  },
};

function compressStream({ level, windowLog }: Choice): zlib.ZstdCompress {
  return zlib.createZstdCompress({
    chunkSize: CHUNK_BYTES,
    // With each write, and not as a write of its own.
    flush: constants.ZSTD_e_flush,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_windowLog]: Math.min(windowLog, MAX_WINDOW_LOG),
      ...TABLES[level],
    },
  });
}

/** The other direction: never more output than the frame says, nor a longer window than MAX_WINDOW_LOG. */
export class Decompressor {
  #chain: Chain | undefined;

  /** Batches of a chain in their order; throws BadFrame. */
  async decompress(method: Method, payload: Buffer, plainBytes: number): Promise<Buffer> {
    if (method === 'none') return payload;
    if (method === 'zstd') return await expandAlone(payload, plainBytes);
    if (method === 'chainStart') {
      this.close();
      const params = { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG };
      const stream = zlib.createZstdDecompress({ chunkSize: 2 * CHUNK_BYTES, params });
      this.#chain = new Chain(stream);
    }
    if (this.#chain === undefined) throw new BadFrame('it goes on with a chain that never started');
    const { out } = await this.#chain.feed([payload], plainBytes);
    return out[0] !== undefined && out.length === 1 ? out[0] : Buffer.concat(out);
  }

  close(): void {
    this.#chain?.end();
    this.#chain = undefined;
  }
}

async function expandAlone(payload: Buffer, plainBytes: number): Promise<Buffer> {
  const params = { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG };
  let body: Buffer;
  try {
    const maxOutputLength = Math.max(1, plainBytes);
    const chunkSize = chunkFor(plainBytes);
    body = await decompressOne(payload, { maxOutputLength, chunkSize, params });
  } catch (error) {
    throw new BadFrame(`it does not decompress: ${error instanceof Error ? error.message : ''}`);
  }
  if (body.length !== plainBytes) throw new BadFrame(`it has ${body.length} bytes, not as it says`);
  return body;
}

interface Fed {
  readonly out: readonly Buffer[];
  readonly bytes: number;
  readonly tookMs: number;
}

/** Feeds one zstd stream piece by piece, and gives of each piece exactly what came out for it. */
class Chain {
  readonly #stream: zlib.ZstdCompress | zlib.ZstdDecompress;
  readonly #feeds = new Mutex();
  #joined = Buffer.alloc(0);
  #out: Buffer[] = [];
  #outBytes = 0;
  #most = Infinity;
  #failure: BadFrame | undefined;
  #failed: ((error: BadFrame) => void) | undefined;

  constructor(stream: zlib.ZstdCompress | zlib.ZstdDecompress) {
    this.#stream = stream;
    stream.on('error', (error) => this.#fail(`it does not decompress: ${error.message}`));
    stream.on('data', (chunk: Buffer) => {
      this.#out.push(chunk);
      this.#outBytes += chunk.length;
      if (this.#outBytes > this.#most) this.#fail('it holds more than it says');
    });
  }

  /** What comes out for these pieces: exactly `expected` bytes where that is finite. */
  feed(pieces: readonly Buffer[], expected: number): Promise<Fed> {
    return this.#feeds.run(() => this.#feed(pieces, expected));
  }

  end(): void {
    void this.#feeds.idle().then(() => this.#stream.destroy());
  }

  async #feed(pieces: readonly Buffer[], expected: number): Promise<Fed> {
    const startedMs = performance.now();
    this.#most = expected;
    await new Promise<void>((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#failed = reject;
      const joined = this.#join(pieces);
      if (joined.length === 0) return resolve();
      this.#stream.write(joined, () => void setImmediate(resolve));
    });
    this.#failed = undefined;
    const [out, bytes] = [this.#out, this.#outBytes];
    this.#out = [];
    this.#outBytes = 0;
    if (expected !== Infinity && bytes !== expected) {
      throw new BadFrame(`it has ${bytes} bytes, not ${expected}`);
    }
    return { out, bytes, tookMs: performance.now() - startedMs };
  }

  /** One write: each costs a round through the pool of threads, and a busy thread comes late to each. */
  #join(pieces: readonly Buffer[]): Buffer {
    if (pieces.length === 1 && pieces[0] !== undefined) return pieces[0];
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
    if (this.#joined.length < bytes) this.#joined = Buffer.alloc(bytes);
    let at = 0;
    for (const piece of pieces) at += piece.copy(this.#joined, at);
    return this.#joined.subarray(0, bytes);
  }

  #fail(what: string): void {
    this.#failure ??= new BadFrame(what);
    this.#stream.destroy();
    this.#out = [];
    this.#failed?.(this.#failure);
  }
}
