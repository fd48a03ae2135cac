import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { PAGE_BYTES, WINDOWS_MS, samplePages } from '../../../src/host/memory-sample/pages.ts';
import { Memory } from './memory.ts';

const { signal } = new AbortController();

const random = randomBytes(PAGE_BYTES);
const text = Buffer.alloc(PAGE_BYTES, 'the same words again and again, ');

describe('a page sample', () => {
  test('a page sample ends with its results once they suffice, by one more read of fewer pages', async () => {
    const memory = new Memory(
      8192,
      () => text,
      (page, ms) => ms > 0 && page % 4 === 0,
    );
    const enough = new AbortController();
    const sleeps: number[] = [];
    const time = {
      monotonicMs: () => memory.nowMs,
      sleep: async (ms: number, by: AbortSignal) => {
        sleeps.push(ms);
        // The second wait is broken off after 50 ms.
        memory.nowMs += sleeps.length === 2 ? 50 : ms;
        if (sleeps.length < 2) return;
        enough.abort();
        by.throwIfAborted();
      },
    };
    const found = await samplePages(
      memory,
      time,
      { signal, brief: { enough: enough.signal } },
      () => 0,
    );
    assert.ok(found !== undefined);
    assert.deepEqual(
      found.curve.map(({ windowMs }) => windowMs),
      [100, 150],
    );
    assert.equal(found.pages, 1024);
    assert.ok((found.curve[1]?.dirtyBytes ?? 0) > 0 && found.mix.zero === 0);
    assert.equal(sleeps.length, 2);
  });

  test('a page sample is aborted by its caller, whether sufficient or not', async () => {
    const memory = new Memory(64, () => text);
    const [asked, enough] = [new AbortController(), new AbortController()];
    const time = {
      monotonicMs: () => memory.nowMs,
      sleep: async (_ms: number, by: AbortSignal) => {
        asked.abort();
        by.throwIfAborted();
      },
    };
    await assert.rejects(
      samplePages(
        memory,
        time,
        { signal: asked.signal, brief: { enough: enough.signal } },
        () => 0,
      ),
    );
  });

  test('a page sample is repeated once if the last read found many new pages, and only then', async () => {
    /** Goes through 800 of 4096 pages once within so long. */
    const cycling = (ms: number) =>
      new Memory(
        4096,
        () => text,
        (page, at) => page < Math.min(800, (800 * at) / ms),
      );
    const looked = async (ms: number) => {
      const memory = cycling(ms);
      return (await samplePages(memory, memory.time, { signal }, () => 0))?.curve ?? [];
    };
    for (const ms of [200, 900])
      assert.deepEqual(
        (await looked(ms)).map(({ windowMs }) => windowMs),
        WINDOWS_MS,
      );
    const slow = await looked(4500);
    assert.equal(slow.at(-1)?.windowMs, 6000);
    // By the first four looks alone it would go on to all of its memory.
    assert.equal(slow.at(-1)?.dirtyBytes, 800 * PAGE_BYTES);
    assert.ok((slow.at(-2)?.dirtyBytes ?? 0) < 600 * PAGE_BYTES);
  });

  test('a page sample gives the shares of zero and repeated pages, and how far the rest compresses', async () => {
    const parts = [Buffer.alloc(PAGE_BYTES), 'absent', random, text] as const;
    const memory = new Memory(4000, (page) => parts[page % 4] ?? 'absent');
    const found = await samplePages(memory, memory.time, { signal }, () => 0);
    assert.ok(found !== undefined);
    assert.equal(found.mix.zero, 0.5);
    assert.ok(Math.abs(found.mix.duplicate - 0.4995) < 0.001);
    assert.ok(found.mix.packed < 0.5);
  });

  test('a page sample counts random pages as incompressible', async () => {
    const memory = new Memory(64, () => randomBytes(PAGE_BYTES));
    const found = await samplePages(memory, memory.time, { signal });
    assert.deepEqual([found?.mix.zero, found?.mix.duplicate, found?.mix.packed], [0, 0, 1]);
  });

  test('a page sample measures the compression of all memory, and not just of its lower part', async () => {
    const memory = new Memory(4096, (page) => (page < 1024 ? text : randomBytes(PAGE_BYTES)));
    const { packed = 0 } = (await samplePages(memory, memory.time, { signal }))?.mix ?? {};
    assert.ok(packed > 0.7 && packed < 0.8, String(packed));
  });

  test('a page sample measures the compression of pages that are written meanwhile, if any', async () => {
    const memory = new Memory(
      1000,
      (page) => (page < 100 ? random : text),
      (page, ms) => page < 100 && ms > 0,
    );
    const { packed = 1, packedAgain } =
      (await samplePages(memory, memory.time, { signal }, () => 0))?.mix ?? {};
    assert.ok(packed < 0.5 && packedAgain !== undefined && packedAgain > packed);
    const still = new Memory(1000, () => text);
    assert.equal((await samplePages(still, still.time, { signal }))?.mix.packedAgain, undefined);
  });

  test("a page sample's windows include its reading time, up to the second read of each page", async () => {
    // Each read takes 0.1 ms: 100 ms for a look.
    const slow = new Memory(1000, () => random);
    const read = slow.read.bind(slow);
    const looksAt500: number[] = [];
    slow.read = (page, into) => {
      slow.nowMs += 0.1;
      if (page === 500) looksAt500.push(slow.nowMs);
      return read(page, into);
    };
    slow.time.monotonicMs = () => Math.round(slow.nowMs);
    const found = await samplePages(slow, slow.time, { signal }, () => 0);
    const windows = found?.curve.map(({ windowMs }) => windowMs) ?? [];
    assert.deepEqual(windows, [150, 350, 1050, 3050]);
    const [first = 0, ...later] = looksAt500;
    const apart = later.map((ms) => Math.round(ms - first));
    assert.deepEqual(apart, windows);
  });

  test('a page sample sees a rewritten working set once, and a growing one as it grows', async () => {
    const hot = new Memory(
      1000,
      () => random,
      (page, ms) => page < 100 && ms > 0,
    );
    const still = await samplePages(hot, hot.time, { signal }, () => 0);
    const all = 100 * PAGE_BYTES;
    assert.deepEqual(
      still?.curve,
      WINDOWS_MS.map((windowMs) => ({ windowMs, dirtyBytes: all })),
    );
    const grows = new Memory(
      3000,
      () => random,
      (page, ms) => page < ms,
    );
    const curve = (await samplePages(grows, grows.time, { signal }, () => 0))?.curve ?? [];
    assert.deepEqual(
      curve.map(({ dirtyBytes }) => dirtyBytes / PAGE_BYTES),
      WINDOWS_MS,
    );
  });

  test('a page sample sees an untouched page that is written meanwhile', async () => {
    const memory = new Memory(
      10,
      () => 'absent',
      (page, ms) => page < 5 && ms >= 1000,
    );
    const found = await samplePages(memory, memory.time, { signal });
    assert.deepEqual(
      found?.curve.map(({ dirtyBytes }) => dirtyBytes / PAGE_BYTES),
      [0, 0, 5, 5],
    );
    assert.equal(found?.mix.zero, 1);
  });

  test('a page sample never swaps pages in, and gives nothing if all memory is swapped out', async () => {
    const half = new Memory(100, (page) => (page % 2 === 0 ? 'away' : random));
    assert.equal((await samplePages(half, half.time, { signal }))?.pages, 50);
    const gone = new Memory(100, () => 'away');
    assert.equal(await samplePages(gone, gone.time, { signal }), undefined);
    assert.equal(gone.reads, 0);
  });

  test('a page sample is bounded for any size of memory, and ends when it is given up', async () => {
    const large = new Memory(2 ** 28, () => 'absent');
    assert.equal((await samplePages(large, large.time, { signal }))?.pages, 4096);
    const given = AbortSignal.abort(new Error('given up'));
    await assert.rejects(samplePages(large, large.time, { signal: given }), /given up/);
  });

  test('a page sample measures the share of memory at the other host by its answers, each content once', async () => {
    // A quarter is zeros, and a half the same page; of the others, the other host has every second one.
    const memory = new Memory(1024, (page) => {
      if (page % 4 === 0) return 'absent';
      return page % 2 === 0 ? text : Buffer.alloc(PAGE_BYTES, `page ${page} `);
    });
    const asked: string[] = [];
    const isThere = (page: Uint8Array): boolean | undefined => {
      const words = Buffer.from(page).toString('latin1', 0, 9);
      asked.push(words);
      if (!words.startsWith('page ')) return undefined;
      return Number.parseInt(words.slice(5), 10) % 4 === 1;
    };
    const knows = Promise.resolve(isThere);
    const found = await samplePages(memory, memory.time, { signal, knows }, () => 0);
    assert.deepEqual(found?.mix.known, { share: 0.375, pages: 512 });
    assert.equal(asked.length, 513);
    for (const told of [undefined, () => undefined]) {
      const until = { signal, knows: Promise.resolve(told) };
      const none = await samplePages(memory, memory.time, until, () => 0);
      assert.ok(none !== undefined && !('known' in none.mix));
    }
  });

  test('a mover samples more pages if the other host has few, and no more than necessary', async () => {
    // The other host tells of one page in 32, and has those of the upper half of memory.
    const memory = new Memory(2 ** 16, (page) => Buffer.alloc(PAGE_BYTES, `page ${page} `));
    const isThere = (page: Uint8Array): boolean | undefined => {
      const number = Number.parseInt(Buffer.from(page).toString('latin1', 5, 12), 10);
      return number % 32 === 0 ? number >= 2 ** 15 : undefined;
    };
    const brief = { enough: AbortSignal.abort() };
    const until = { signal, brief, knows: Promise.resolve(isThere) };
    const { known } = (await samplePages(memory, memory.time, until))?.mix ?? {};
    assert.equal(known?.pages, 64);
    assert.ok(Math.abs(known.share - 0.5) < 0.3, String(known.share));
    const without = new Memory(2 ** 16, (page) => Buffer.alloc(PAGE_BYTES, `page ${page} `));
    await samplePages(without, without.time, { signal, brief });
    assert.equal(without.reads, 2048, 'each page of the sample, and once more');
  });

  test('a page sample has a curve that never falls, and shares of a whole, for any memory', async () => {
    const kind = fc.constantFrom<Buffer | 'absent' | 'away'>('absent', 'away', random, text);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(kind, fc.integer({ min: 0, max: 5000 })), {
          minLength: 1,
          maxLength: 200,
        }),
        async (made) => {
          const memory = new Memory(
            made.length,
            (page) => made[page]?.[0] ?? 'absent',
            (page, ms) => ms > (made[page]?.[1] ?? 0),
          );
          const found = await samplePages(memory, memory.time, { signal });
          if (found === undefined) return;
          const dirty = found.curve.map(({ dirtyBytes }) => dirtyBytes);
          assert.deepEqual(
            dirty,
            dirty.toSorted((left, right) => left - right),
          );
          assert.ok((dirty.at(-1) ?? 0) <= made.length * PAGE_BYTES);
          const { known: _none, ...shares } = found.mix;
          for (const share of Object.values(shares))
            assert.ok(share === undefined || (share >= 0 && share <= 1));
        },
      ),
    );
  });
});
