import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import zlib from 'node:zlib';
import {
  compressBound,
  CompressContext,
  DecompressContext,
  DecompressOneContext,
  ZstdError,
} from '../../../src/wire/codec/zstd.ts';

const { ZSTD_c_compressionLevel, ZSTD_c_windowLog } = zlib.constants;
const LEVEL_ONE = [[ZSTD_c_compressionLevel, 1]] as const;
const body = Buffer.from('one guest, and another guest. '.repeat(500));

describe("zstd in Node's binary", () => {
  test('zstd compresses pieces in place that node:zlib expands as one frame', async () => {
    const context = new CompressContext(LEVEL_ONE, true);
    const memory = Buffer.concat([body, body]);
    const out: Buffer[] = [];
    for (const [from, to] of [
      [0, 7],
      [7, body.length],
      [body.length, memory.length],
    ] as const) {
      const room = Buffer.alloc(compressBound(to - from));
      out.push(room.subarray(0, await context.next({ memory, from, to }, room)));
    }
    const { ZSTD_e_flush: finishFlush } = zlib.constants;
    assert.deepEqual(zlib.zstdDecompressSync(Buffer.concat(out), { finishFlush }), memory);
    assert.ok((out[2]?.length ?? 0) < 40, 'a repetition is found in the bytes before');
  });

  test('zstd refuses a range outside its memory before it is called', async () => {
    const context = new CompressContext(LEVEL_ONE, true);
    const room = Buffer.alloc(compressBound(100));
    for (const [from, to] of [
      [-1, 5],
      [0, 101],
      [6, 5],
      [0.5, 5],
      [0, Number.NaN],
      [2 ** 53, 2 ** 53],
    ] as const) {
      const memory = Buffer.alloc(100);
      await assert.rejects(context.next({ memory, from, to }, room), RangeError, `${from} ${to}`);
    }
  });

  test('zstd continues a frame only at its end, in the same memory', async () => {
    const context = new CompressContext(LEVEL_ONE, true);
    const room = Buffer.alloc(compressBound(body.length));
    await context.next({ memory: body, from: 0, to: 100 }, room);
    const copy = Buffer.from(body);
    for (const input of [
      { memory: body, from: 99, to: 200 },
      { memory: copy, from: 100, to: 200 },
    ]) {
      await assert.rejects(context.next(input, room), RangeError);
    }
    await context.next({ memory: body, from: 100, to: 200 }, room);
    context.reset();
    await context.next({ memory: copy, from: 0, to: 100 }, room);
  });

  test('zstd reports an output without room, and writes nothing behind it', async () => {
    const memory = Buffer.alloc(64, 0xaa);
    const out = memory.subarray(16, 32);
    const one = new CompressContext(LEVEL_ONE, false);
    await assert.rejects(one.one(body, out), ZstdError);
    const frame = zlib.zstdCompressSync(body);
    await assert.rejects(new DecompressOneContext().one(frame, out), ZstdError);
    const context = new DecompressContext(20);
    context.start(frame);
    const { written } = await context.next(frame, out);
    assert.equal(written, 16);
    assert.deepEqual(memory.subarray(32), Buffer.alloc(32, 0xaa));
    assert.deepEqual(memory.subarray(0, 16), Buffer.alloc(16, 0xaa));
  });

  test('zstd uses a context for one call at a time', async () => {
    const context = new CompressContext(LEVEL_ONE, false);
    const first = context.one(body, Buffer.alloc(compressBound(body.length)));
    await assert.rejects(
      context.one(body, Buffer.alloc(compressBound(body.length))),
      /one call at a time/,
    );
    assert.throws(() => context.reset(), /one call at a time/);
    assert.ok((await first) > 0);
    context.reset();
  });

  test('zstd refuses a frame whose window is longer than the limit', () => {
    const params = { [ZSTD_c_windowLog]: 25 };
    const piece = zlib.zstdCompressSync(Buffer.alloc(2 ** 25 + 1), { params });
    assert.throws(() => new DecompressContext(24).start(piece), ZstdError);
    assert.throws(() => new DecompressContext(24).start(Buffer.alloc(0)), ZstdError);
    new DecompressContext(25).start(piece);
  });

  test('a thread that is terminated in a call ends after the call, and the process continues', async () => {
    const source = new URL('../../../src/wire/codec/zstd.ts', import.meta.url).href;
    const worker = new Worker(
      `import { parentPort } from 'node:worker_threads';
       import { CompressContext, compressBound } from ${JSON.stringify(source)};
       const context = new CompressContext([[${ZSTD_c_compressionLevel}, 12]], false);
       const input = Buffer.alloc(2 ** 22);
       for (let at = 0; at < input.length; at += 1) input[at] = (at * at) >> 7;
       void context.one(input, Buffer.alloc(compressBound(input.length)));
       parentPort.postMessage('called');`,
      { eval: true, execArgv: ['--input-type=module'] },
    );
    await once(worker, 'message');
    assert.equal(await worker.terminate(), 1);
  });
});
