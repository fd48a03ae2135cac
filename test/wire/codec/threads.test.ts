import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { placesDigest } from '../../../src/wire/cache/places.ts';
import { decodedFrame, missingFrame, writeFrame } from '../../../src/wire/codec/frame.ts';
import { PAGE_BYTES, type Item } from '../../../src/wire/codec/item.ts';
import { DEFAULT_SETTINGS } from '../../../src/wire/codec/settings.ts';
import type { ThreadCache } from '../../../src/wire/codec/thread-messages.ts';
import { DecodeThread, EncodeThread } from '../../../src/wire/codec/threads.ts';
import * as support from './support.ts';

const never = new AbortController().signal;
const SMALL_WINDOW = { ...DEFAULT_SETTINGS, windowPages: 64, batchItems: 100 };
const ENCODER_START = {
  settings: SMALL_WINDOW,
  seed: 5n,
  cache: undefined,
  cores: 1,
  farSummary: new Uint8Array(4),
};

function memory(pages: number, first = 1): Item[] {
  return Array.from({ length: pages }, (_, at): Item => {
    const bytes = support.pageOf(at % 7 === 0 ? 0 : first + at);
    return { kind: 'page', block: 0, offset: at * PAGE_BYTES, bytes };
  });
}

function cacheAt(context: TestContext): ThreadCache {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'godwit-threads-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const secret = Buffer.alloc(32, 3);
  const kept = { directory, mostBytes: 64 * 2 ** 20, secret };
  return { ...kept, sharing: { with: 'host' }, peer: 'other', seeds: true };
}

/** Sends items through a pair of threads; gives what came out, the wire's bytes and the encoder's tally. */
async function send(
  items: readonly Item[],
  near?: ThreadCache,
  far?: ThreadCache,
  settings = SMALL_WINDOW,
) {
  const out: Item[] = [];
  let wireBytes = 0;
  const decode: DecodeThread = new DecodeThread({
    start: { settings, seed: 5n, cache: far, mostHeldBytes: 1 << 26, mostSummaryNames: 10_000 },
    give: async (given) => {
      for (const item of given) out.push(support.copyOf(item));
    },
    answer: (bytes) => encode.answer(bytes),
    signal: never,
  });
  const farSummary = await decode.summary;
  const encode = new EncodeThread({
    start: { settings, seed: 5n, cache: near, cores: 1, farSummary },
    send: async (frame) => {
      wireBytes += frame.length;
      await decode.write(frame);
    },
    signal: never,
  });
  await encode.add(items);
  await encode.flush();
  await decode.close();
  const tally = await encode.close();
  return { out, wireBytes, tally };
}

describe("the codec's threads", () => {
  test("the codec's threads return their input, in order, over more than fits between them", async () => {
    const items: Item[] = [
      ...memory(1500),
      { kind: 'bytes', bytes: Buffer.alloc(3_000_000, 'state of some device ') },
      ...memory(300, 9000),
    ];
    const { out, tally } = await send(items);
    assert.deepEqual(support.joined(out), support.joined(items));
    assert.ok((tally?.encoded.zero ?? 0) > 200);
  });

  test('a second guest with the same contents costs references, and a lost cache costs literals', async (context) => {
    const near = cacheAt(context);
    const far = cacheAt(context);
    const items = memory(800);
    const first = await send(items, near, far, DEFAULT_SETTINGS);
    const second = await send(items, near, far, DEFAULT_SETTINGS);
    assert.deepEqual(support.joined(second.out), support.joined(items));
    assert.equal(second.tally?.encoded.literal, 0);
    assert.ok(second.wireBytes * 5 < first.wireBytes, `${second.wireBytes} bytes`);
    rmSync(far.directory, { recursive: true });
    const third = await send(items, near, far, DEFAULT_SETTINGS);
    assert.deepEqual(support.joined(third.out), support.joined(items));
    assert.ok((third.tally?.encoded.literal ?? 0) > 600);
  });

  test('a guest that comes back is encoded by its unchanged pages', async (context) => {
    const [here, there] = [cacheAt(context), cacheAt(context)];
    const cells = 1024;
    // Each side tells the other what it holds, as a session does when it starts.
    const withPlaces = (own: ThreadCache, far: ThreadCache): ThreadCache => {
      const file = path.join(own.directory, 'guest.places');
      const farFile = path.join(far.directory, 'guest.places');
      return { ...own, places: { file, cells, farDigest: placesDigest(farFile, cells) } };
    };
    const away = memory(800);
    const first = await send(
      away,
      withPlaces(here, there),
      withPlaces(there, here),
      DEFAULT_SETTINGS,
    );
    const back = away.map((item, at): Item => {
      const bytes = Buffer.from(item.bytes);
      if (at % 50 === 1) bytes[100] = (bytes[100] ?? 0) ^ 0x0f;
      return { ...item, bytes };
    });
    const second = await send(
      back,
      withPlaces(there, here),
      withPlaces(here, there),
      DEFAULT_SETTINGS,
    );
    assert.deepEqual(support.joined(second.out), support.joined(back));
    const { base, deltaOfBase, literal } = second.tally?.encoded ?? {};
    // Of the 16 that changed two were zero before, so they have no base; both have become the same.
    assert.deepEqual({ deltaOfBase, literal }, { deltaOfBase: 14, literal: 1 });
    assert.ok((base ?? 0) > 600);
    assert.ok(second.wireBytes * 500 < first.wireBytes, `${second.wireBytes} bytes`);
  });

  test('a thread that dies fails every call, with its reason', async () => {
    const stop = new AbortController();
    const encode = new EncodeThread({
      start: ENCODER_START,
      send: () => new Promise(() => undefined),
      signal: stop.signal,
    });
    const adding = (async () => {
      for (;;) await encode.add(memory(500));
    })();
    stop.abort(new Error('the mover was told to stop'));
    await assert.rejects(adding, /told to stop/);
    await assert.rejects(encode.flush(), /told to stop/);
  });

  test("an invalid frame fails the decoder's thread and the next write", async () => {
    const decode = new DecodeThread({
      start: {
        settings: SMALL_WINDOW,
        seed: 5n,
        cache: undefined,
        mostHeldBytes: 1 << 20,
        mostSummaryNames: 0,
      },
      give: () => Promise.resolve(),
      answer: () => Promise.resolve(),
      signal: never,
    });
    await decode.summary;
    await assert.rejects(async () => {
      for (;;) await decode.write(Buffer.alloc(600_000, 'no frame'));
    }, /frame 0: it does not start as a frame does/);
  });

  test('an answer is accepted once the thread has acted on it, or is gone', async () => {
    const encode = new EncodeThread({
      start: ENCODER_START,
      send: () => Promise.resolve(),
      signal: never,
    });
    let ended: unknown;
    encode.onEnd((error) => (ended = error));
    await encode.answer(writeFrame(decodedFrame(0, 1)));
    assert.equal(ended, undefined);
    await encode.answer(writeFrame(missingFrame(1, [77])));
    assert.match(String(ended), /content 77 is not to be had/);
    await encode.answer(writeFrame(decodedFrame(2, 1)));
  });

  test('an answer that arrives after the end is accepted', async () => {
    const encode = new EncodeThread({
      start: ENCODER_START,
      send: () => Promise.resolve(),
      signal: never,
    });
    await encode.close();
    await encode.answer(writeFrame(decodedFrame(0, 1)));
  });

  test('a sender that fails stops the encoder', async () => {
    const encode = new EncodeThread({
      start: ENCODER_START,
      send: () => Promise.reject(new Error('the link is gone')),
      signal: never,
    });
    await assert.rejects(async () => {
      await encode.add(memory(500));
      await encode.flush();
    }, /the link is gone/);
  });
});
