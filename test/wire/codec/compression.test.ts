import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { BadFrame } from '../../../src/wire/codec/bytes.ts';
import { Compressor, Decompressor, type Choice } from '../../../src/wire/codec/compression.ts';
import type { Method } from '../../../src/wire/codec/frame.ts';

const CHAIN: Choice = { level: 1, windowLog: 21 };
const ALONE: Choice = { level: 1, windowLog: 0 };
const MIB = 2 ** 20;

interface CompressedFrame {
  readonly method: Method;
  readonly payload: Buffer;
  readonly body: Buffer;
}

/** A body of words that is like no other. */
function bodyOf(seed: number, bytes: number): Buffer {
  const text = Buffer.from(`guest ${seed} `.repeat(8));
  const body = Buffer.alloc(bytes, text);
  for (let at = 0; at < bytes; at += 64) body.writeUInt32LE((at * 2654435761) >>> 0, at & ~3);
  return body.subarray(0, bytes);
}

async function send(bodies: readonly Buffer[], choice: Choice): Promise<CompressedFrame[]> {
  const compressor = new Compressor(1);
  const all = bodies.map((body) =>
    compressor.compress([body.subarray(0, 9), body.subarray(9)], choice),
  );
  const compressed = await Promise.all(all);
  return compressed.map(({ method, pieces }, at) => {
    return { method, payload: Buffer.concat(pieces), body: bodies[at] ?? Buffer.alloc(0) };
  });
}

/** The chains among what was sent. */
function chainsOf(sent: readonly CompressedFrame[]): CompressedFrame[][] {
  const chains: CompressedFrame[][] = [];
  for (const each of sent) {
    if (each.method === 'chainStart') chains.push([]);
    chains.at(-1)?.push(each);
  }
  return chains;
}

describe('batches', () => {
  test('batches of a chain that fills its memory start another, which node:zlib expands too', async () => {
    const bodies = Array.from({ length: 18 }, (_, at) => bodyOf(at, MIB));
    const sent = await send(bodies, CHAIN);
    const chains = chainsOf(sent);
    assert.deepEqual(
      chains.map(({ length }) => length),
      [16, 2],
    );
    for (const chain of chains) {
      const joined = (pick: (each: CompressedFrame) => Buffer) => Buffer.concat(chain.map(pick));
      const { ZSTD_e_flush: finishFlush } = zlib.constants;
      const plain = zlib.zstdDecompressSync(
        joined(({ payload }) => payload),
        { finishFlush },
      );
      assert.ok(plain.equals(joined(({ body }) => body)));
    }
    const decompressor = new Decompressor();
    for (const { method, payload, body } of sent) {
      const plain = await decompressor.decompress(method, payload, body.length);
      assert.ok(plain.equals(body));
      decompressor.recycle(plain);
    }
  });

  test('batches of a chain that never restarts, as in an older build, are expanded', async () => {
    const stream = zlib.createZstdCompress({ flush: zlib.constants.ZSTD_e_flush });
    const decompressor = new Decompressor();
    let out: Buffer[] = [];
    stream.on('data', (piece: Buffer) => out.push(piece));
    for (let at = 0; at < 20; at += 1) {
      const body = bodyOf(at, MIB);
      await new Promise<void>((resolve) => void stream.write(body, () => setImmediate(resolve)));
      const payload = Buffer.concat(out);
      out = [];
      const method = at === 0 ? 'chainStart' : 'chain';
      const plain = await decompressor.decompress(method, payload, MIB);
      assert.ok(plain.equals(body), `batch ${at}`);
      decompressor.recycle(plain);
    }
    stream.destroy();
  });

  test("batches of this build are expanded by node:zlib, and node:zlib's by this build", async () => {
    const [sent] = await send([bodyOf(1, 50_000)], ALONE);
    assert.ok(sent !== undefined);
    assert.equal(sent.method, 'zstd');
    assert.ok(zlib.zstdDecompressSync(sent.payload).equals(sent.body));
    const theirs = zlib.zstdCompressSync(sent.body);
    const plain = await new Decompressor().decompress('zstd', theirs, sent.body.length);
    assert.ok(plain.equals(sent.body));
  });

  test('batches that are expanded keep their bytes until they are recycled', async () => {
    const sent = await send(
      [1, 2, 3, 4].map((seed) => bodyOf(seed, 30_000)),
      CHAIN,
    );
    const decompressor = new Decompressor();
    const plain = await Promise.all(
      sent.map(({ method, payload, body }) =>
        decompressor.decompress(method, payload, body.length),
      ),
    );
    for (const [at, { body }] of sent.entries()) assert.ok(plain[at]?.equals(body));
  });

  test('batches with a changed payload or length are refused or differ, and nothing else is thrown', async () => {
    const sent = [
      ...(await send(
        [1, 2].map((seed) => bodyOf(seed, 5000)),
        CHAIN,
      )),
      ...(await send([bodyOf(3, 5000)], ALONE)),
    ];
    const change = fc.record({
      batch: fc.nat(2),
      at: fc.nat(5000),
      to: fc.nat(255),
      cut: fc.nat(3),
      more: fc.integer({ min: -5000, max: 5000 }),
    });
    await fc.assert(
      fc.asyncProperty(change, async ({ batch, at, to, cut, more }) => {
        const decompressor = new Decompressor();
        for (const [number, { method, payload, body }] of sent.entries()) {
          const damaged = Buffer.from(payload);
          let length = body.length;
          if (number === batch) {
            if (cut === 0) length += more;
            else damaged[at % damaged.length] = to;
          }
          const kept = cut === 1 && number === batch ? damaged.subarray(0, at) : damaged;
          try {
            const plain = await decompressor.decompress(method, kept, length);
            assert.equal(plain.length, length);
          } catch (error) {
            assert.ok(error instanceof BadFrame, String(error));
            return;
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
