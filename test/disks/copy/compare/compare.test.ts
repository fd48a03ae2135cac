import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { hashesOf, type ImageReader } from '../../../../src/disks/copy/compare/chunks.ts';
import { compareImage, type FarImage } from '../../../../src/disks/copy/compare/compare.ts';
import { CHUNK_BYTES, PIECE_BYTES } from '../../../../src/protocol/peer/disk-check.ts';

const SIZE = 3 * CHUNK_BYTES + PIECE_BYTES + 512;
const PIECES = Math.ceil(SIZE / PIECE_BYTES);

function readerOf(image: Buffer): ImageReader {
  return {
    size: image.length,
    read: async (from, length) => image.subarray(from, from + length),
    zeroUntil: async (from) => zeroFrom(image, from),
  };
}

function zeroFrom(image: Buffer, from: number): number {
  const end = image.findIndex((byte, at) => at >= from && byte !== 0);
  return end === -1 ? image.length : end;
}

/** The other host’s image, whose guest writes a piece before each answer, from a list. */
class Far implements FarImage {
  readonly image: Buffer;
  readonly #writes: number[];
  readonly #since = new Set<number>();
  #reported = new Set<number>();

  constructor(image: Buffer, writes: readonly number[]) {
    this.image = Buffer.from(image);
    this.#writes = [...writes];
  }

  get written(): ReadonlySet<number> {
    return this.#since;
  }

  async differ(unit: number, from: number, hashes: readonly string[]) {
    this.#write();
    const range = { from, unit, count: hashes.length };
    const here = await hashesOf(readerOf(this.image), range, AbortSignal.timeout(10_000));
    this.#write();
    const differ = hashes.flatMap((hash, index) => (hash === here[index] ? [] : [index]));
    return { differ, zeroUntil: zeroFrom(this.image, from + unit * hashes.length) };
  }

  async rewritten(pieces: readonly number[], anew: boolean): Promise<boolean[]> {
    if (anew) this.#reported = new Set(this.#since);
    this.#write();
    return pieces.map((piece) => this.#reported.has(piece));
  }

  #write(): void {
    const piece = this.#writes.pop();
    if (piece === undefined) return;
    this.image.fill(0xee, piece * PIECE_BYTES, Math.min(SIZE, (piece + 1) * PIECE_BYTES));
    this.#since.add(piece * PIECE_BYTES);
  }
}

function imageOf(seed: number): Buffer {
  const image = Buffer.alloc(SIZE);
  for (let at = 0; at < SIZE; at += 4096) image.writeUInt32BE((seed * 7919 + at) >>> 0, at);
  image.fill(0, CHUNK_BYTES, 2 * CHUNK_BYTES);
  return image;
}

const piece = fc.integer({ min: 0, max: PIECES - 1 });
const signal = AbortSignal.timeout(60_000);

describe('the comparison of an image in use', () => {
  test('the comparison finds no difference in data that only the guest has changed since, whenever it wrote', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(100), fc.array(piece, { maxLength: 12 }), async (seed, writes) => {
        const image = imageOf(seed);
        const far = new Far(image, writes);
        const found = await compareImage(readerOf(image), far, signal);
        assert.deepEqual([found.differentBytes, found.firstAt], [0, undefined]);
        assert.equal(found.comparedBytes + found.excludedBytes, SIZE);
        assert.ok(found.excludedBytes <= far.written.size * PIECE_BYTES);
      }),
      { numRuns: 50 },
    );
  });

  test('the comparison finds each piece that differs and was not written since', async () => {
    const lists = [fc.uniqueArray(piece, { minLength: 1, maxLength: 6 }), fc.array(piece)] as const;
    await fc.assert(
      fc.asyncProperty(...lists, async (bad, writes) => {
        const near = imageOf(1);
        const there = Buffer.from(near);
        for (const at of bad) there.writeUInt8(0x5a, at * PIECE_BYTES + 100);
        const far = new Far(there, writes.slice(0, 8));
        const found = await compareImage(readerOf(near), far, signal);
        const untouched = bad.filter((at) => !far.written.has(at * PIECE_BYTES)).toSorted(order);
        const least = untouched.reduce((sum, at) => sum + sizeOf(at), 0);
        assert.ok(found.differentBytes >= least);
        if (least > 0) assert.ok(found.firstAt !== undefined);
        if (writes.length === 0) {
          assert.equal(found.differentBytes, least);
          assert.equal(found.firstAt, (untouched[0] ?? 0) * PIECE_BYTES);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('the comparison of 7 TiB with little data reads little more, and finds the chunk that differs', async () => {
    const TIB = 1024 ** 4;
    const size = 7 * TIB + 512;
    const data = [0, 3 * TIB, 3 * TIB + 300 * CHUNK_BYTES, 7 * TIB - CHUNK_BYTES];
    let reads = 0;
    const reader = (bytes: (at: number) => number): ImageReader => ({
      size,
      read: async (from, length) => {
        reads += 1;
        assert.ok(from + length <= size);
        return data.includes(from - (from % CHUNK_BYTES))
          ? Buffer.alloc(length, bytes(from))
          : undefined;
      },
      zeroUntil: async (from) => {
        if (data.some((at) => at <= from && from < at + CHUNK_BYTES)) return from;
        return data.find((at) => at > from) ?? size;
      },
    });
    const [near, there] = [
      reader(() => 1),
      reader((at) => (at >= 3 * TIB && at < 4 * TIB ? 2 : 1)),
    ];
    const far: FarImage = {
      differ: async (unit, from, hashes) => {
        const here = await hashesOf(there, { from, unit, count: hashes.length }, signal);
        const differ = hashes.flatMap((hash, index) => (hash === here[index] ? [] : [index]));
        return { differ, zeroUntil: await there.zeroUntil?.(from + unit * hashes.length, signal) };
      },
      rewritten: async (pieces) => pieces.map(() => false),
    };
    const found = await compareImage(near, far, signal);
    assert.deepEqual([found.firstAt, found.differentBytes], [3 * TIB, 2 * CHUNK_BYTES]);
    assert.equal(found.comparedBytes, size - 2 * CHUNK_BYTES);
    assert.ok(reads < 20_000, `${reads} reads`);
  });

  test('the comparison treats a hole as the zeroes that it reads as', async () => {
    const near = Buffer.alloc(SIZE);
    const holes: ImageReader = { size: SIZE, read: async () => undefined };
    const found = await compareImage(holes, new Far(near, []), signal);
    assert.equal(found.comparedBytes, SIZE);
  });
});

const order = (left: number, right: number): number => left - right;
const sizeOf = (at: number): number => Math.min(PIECE_BYTES, SIZE - at * PIECE_BYTES);
