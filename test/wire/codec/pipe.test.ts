import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { BadFrame } from '../../../src/wire/codec/bytes.ts';
import { DecodePipe } from '../../../src/wire/codec/decode-pipe.ts';
import {
  decodedFrame,
  missingFrame,
  writeFrame,
  type Frame,
} from '../../../src/wire/codec/frame.ts';
import { EncodePipe } from '../../../src/wire/codec/encode-pipe.ts';
import { PAGE_BYTES, type Item } from '../../../src/wire/codec/item.ts';
import type { CodecSettings } from '../../../src/wire/codec/settings.ts';
import { referring } from './referring.ts';
import * as support from './support.ts';

const { SMALL, hash64, pageOf, Shelf } = support;

interface Joint {
  readonly encode: EncodePipe;
  readonly decode: DecodePipe;
  readonly out: Item[];
  readonly wire: Buffer[];
  /** Resolves when everything that was sent either way has been taken. */
  readonly idle: () => Promise<void>;
}

/** An encoder and a decoder joined by a link that cuts the bytes into `piece`s. */
function join(
  settings: CodecSettings,
  piece: number,
  near?: support.Shelf,
  far?: support.Shelf,
  apart = false,
): Joint {
  const out: Item[] = [];
  const wire: Buffer[] = [];
  let nowMs = 0;
  // Joined directly, or `apart`: by a queue each way, as a link does it, where neither waits for the other.
  const under: Promise<void>[] = [];
  const queues = { ahead: Promise.resolve(), back: Promise.resolve() };
  const carry = (way: keyof typeof queues, work: () => Promise<void>): Promise<void> => {
    if (!apart) return work();
    queues[way] = queues[way].then(work);
    under.push(queues[way]);
    return Promise.resolve();
  };
  const decode = new DecodePipe({
    settings,
    hash64,
    ...(far && { contents: far }),
    mostHeldBytes: 1024 * 1024,
    give: (item) => {
      out.push(support.copyOf(item));
      return out.length % 3 === 0 ? Promise.resolve() : undefined;
    },
    answer: (bytes) => carry('back', () => encode.answer(bytes)),
  });
  const encode = new EncodePipe({
    settings,
    hash64,
    ...(near && { contents: near }),
    cores: 2,
    nowMs: () => (nowMs += 700),
    send: (frame) => {
      wire.push(frame);
      return carry('ahead', async () => {
        for (let at = 0; at < frame.length; at += piece) {
          await decode.write(frame.subarray(at, at + piece));
        }
      });
    },
  });
  return {
    encode,
    decode,
    out,
    wire,
    idle: async () => {
      for (let next = under.shift(); next !== undefined; next = under.shift()) await next;
    },
  };
}

/** A decoder whose answers nobody reads. */
function alone(given: () => void = () => undefined): DecodePipe {
  return new DecodePipe({
    settings: SMALL,
    hash64,
    mostHeldBytes: 1024 * 1024,
    give: () => {
      given();
      return undefined;
    },
    answer: () => Promise.resolve(),
  });
}

/** Levels of every kind: with no link known, a thin one, a thinner one, a fat one. */
const links = fc.array(fc.constantFrom(1e3, 2e6, 12e6, 40e6, 5e9), { maxLength: 6 });

async function sendAll({ encode }: Joint, items: readonly Item[], rates: readonly number[]) {
  for (const [at, rate] of [0, ...rates].entries()) {
    encode.level.linkCarries(rate);
    const share = Math.ceil(items.length / (rates.length + 1));
    await encode.add(items.slice(at * share, (at + 1) * share));
    await encode.flush();
  }
}

describe('the pipes', () => {
  test('the pipes return their input, at every level, under any cutting, with caches that differ', async () => {
    const shelf = fc.option(fc.array(fc.nat(8)));
    await fc.assert(
      fc.asyncProperty(
        support.items,
        links,
        fc.integer({ min: 37, max: 5000 }),
        fc.record({ near: shelf, far: shelf }),
        async (items, rates, piece, { near, far }) => {
          const both = near !== null && far !== null;
          const here = both ? new Shelf() : undefined;
          const there = both ? new Shelf() : undefined;
          if (here) here.far = new Shelf();
          // What the near side thinks that the far one has, which is wrong more often than not.
          for (const seed of near ?? []) here?.far?.arrived(pageOf(seed));
          for (const seed of far ?? []) there?.arrived(pageOf(seed));
          const joint = join(SMALL, piece, here, there);
          await sendAll(joint, items, rates);
          await joint.decode.end();
          assert.deepEqual(support.joined(joint.out), support.joined(items));
          joint.decode.close();
        },
      ),
      { numRuns: 150 },
    );
  });

  test('the pipes keep their order while batches are compressed in parallel', async () => {
    const joint = join({ ...SMALL, batchItems: 1 }, 1 << 20);
    const items = Array.from({ length: 300 }, (_, at): Item => {
      const bytes = at % 2 === 0 ? pageOf(at + 1) : Buffer.alloc(PAGE_BYTES, at);
      return { kind: 'page', block: 0, offset: at * PAGE_BYTES, bytes };
    });
    await joint.encode.add(items);
    await joint.encode.flush();
    assert.deepEqual(support.joined(joint.out), support.joined(items));
  });

  test('the pipes continue if the far cache has nothing of its estimated contents', async () => {
    const here = new Shelf();
    here.far = new Shelf();
    const items = Array.from({ length: 400 }, (_, at): Item => {
      return { kind: 'page', block: 0, offset: at * PAGE_BYTES, bytes: pageOf(at + 1) };
    });
    for (const { bytes } of items) here.far.arrived(bytes);
    const settings = { ...SMALL, windowPages: 4096 };
    const joint = join(settings, 1 << 20, here, new Shelf(), true);
    await joint.encode.add(items);
    await joint.encode.flush();
    await joint.idle();
    await joint.decode.end();
    assert.deepEqual(support.joined(joint.out), support.joined(items));
  });

  test('a failure of the link is thrown by the next call, and nothing is sent after it', async () => {
    let sent = 0;
    const encode = new EncodePipe({
      settings: SMALL,
      hash64,
      cores: 1,
      nowMs: () => 0,
      send: () => {
        sent += 1;
        return Promise.reject(new Error('the link is gone'));
      },
    });
    const item: Item = { kind: 'bytes', bytes: Buffer.alloc(100_000, 1) };
    await assert.rejects(async () => {
      await encode.add([item]);
      await encode.flush();
    }, /the link is gone/);
    await assert.rejects(encode.flush(), /the link is gone/);
    assert.equal(sent, 1);
  });
});

describe('a hostile peer', () => {
  async function frames(): Promise<Buffer[]> {
    const joint = join(SMALL, 1 << 20);
    const items = Array.from({ length: 40 }, (_, at): Item => {
      return { kind: 'page', block: 0, offset: at * PAGE_BYTES, bytes: pageOf(at % 9) };
    });
    await sendAll(joint, items, [1e3, 5e9, 2e6]);
    joint.decode.close();
    return joint.wire;
  }

  test("a hostile peer that changes bytes of a frame is refused by the frame's number", async () => {
    const wire = await frames();
    const change = fc.record({
      frame: fc.nat(wire.length - 1),
      at: fc.oneof(fc.nat(44), fc.nat(4000)),
      to: fc.nat(255),
    });
    await fc.assert(
      fc.asyncProperty(change, async ({ frame, at, to }) => {
        let given = 0;
        const decode = alone(() => (given += 1));
        try {
          for (const [number, bytes] of wire.entries()) {
            const sent = Buffer.from(bytes);
            if (number === frame) sent[at % sent.length] = to;
            await decode.write(sent);
          }
        } catch (error) {
          assert.ok(error instanceof BadFrame, String(error));
          assert.ok(error.frame !== undefined && error.frame >= frame, error.message);
        }
        assert.ok(given <= 40);
        decode.close();
      }),
      { numRuns: 1500 },
    );
  });

  test('a hostile peer that drops, doubles or swaps frames is refused', async () => {
    const wire = await frames();
    for (const order of [wire.slice(1), [wire[0]!, ...wire], [wire[1]!, wire[0]!]]) {
      const decode = alone();
      await assert.rejects(async () => {
        for (const bytes of order) await decode.write(bytes);
      }, BadFrame);
      decode.close();
    }
  });

  test('a hostile peer that claims a length above the limit is refused before its bytes are stored', async () => {
    const [first] = await frames();
    const head = Buffer.from(first!.subarray(0, 36));
    head.writeUInt32BE(2 ** 31, 8);
    const decode = alone();
    await assert.rejects(decode.write(head), BadFrame);
    decode.close();
  });

  test('a hostile peer that never answers missing contents is cut off at the limit', async () => {
    const here = new Shelf();
    here.far = new Shelf();
    here.far.arrived(pageOf(1));
    const sent: Buffer[] = [];
    const encode = new EncodePipe({
      settings: SMALL,
      hash64,
      contents: here,
      cores: 1,
      nowMs: () => 0,
      send: (frame) => Promise.resolve(void sent.push(frame)),
    });
    const page = (at: number, seed: number): Item => {
      return { kind: 'page', block: 0, offset: at * PAGE_BYTES, bytes: pageOf(seed) };
    };
    await encode.add([page(0, 1)]);
    for (let at = 1; at < 60; at += 1) await encode.add([page(at, at + 10)]);
    await encode.flush();
    const decode = new DecodePipe({
      settings: SMALL,
      hash64,
      contents: new Shelf(),
      mostHeldBytes: 30_000,
      give: () => assert.fail('nothing may come before the missing content'),
      answer: () => Promise.resolve(),
    });
    await assert.rejects(async () => {
      for (const frame of sent) await decode.write(frame);
    }, /more is sent than may be in flight/);
    decode.close();
  });

  test('a hostile peer that never answers missing contents is cut off by its number of frames, too', async () => {
    const { sent } = await referring(1);
    const held = 100;
    const decode = new DecodePipe({
      settings: { ...SMALL, windowPages: 512, batchItems: 256 },
      hash64,
      contents: new Shelf(),
      mostHeldBytes: held * 300,
      give: () => assert.fail('nothing may come before the missing content'),
      answer: () => Promise.resolve(),
    });
    const [first = Buffer.alloc(0)] = sent;
    await decode.write(first);
    let frames = 1;
    await assert.rejects(async () => {
      for (; frames < 2 * held; frames += 1) await decode.write(zeroBatch(frames));
    }, /more is sent than may be in flight/);
    assert.ok(frames < held * 1.2, `${frames} frames`);
    decode.close();
  });

  test('a hostile peer that sends a batch without items is refused', async () => {
    const empty = { type: 'batch', method: 'none', plainBytes: 0, items: 0, number: 0, extra: 0n };
    const decode = alone();
    const frame = writeFrame({ ...empty, payload: Buffer.alloc(0) } as Frame);
    await assert.rejects(decode.write(frame), /a batch without items/);
  });

  test('a hostile peer that acknowledges or requests unsent contents is refused', async () => {
    for (const frame of [decodedFrame(0, 10 ** 9), missingFrame(0, [77])]) {
      const { encode } = join(SMALL, 1 << 20);
      await assert.rejects(encode.answer(writeFrame(frame)), BadFrame);
    }
  });
});

/** The smallest batch: one zero page at the next place. */
function zeroBatch(number: number): Buffer {
  const payload = Buffer.from([0, 0, 0, 3, 1, 0, 1]);
  const head = { type: 'batch', method: 'none', plainBytes: payload.length, items: 1 } as const;
  return writeFrame({ ...head, number, extra: 0n, payload });
}
