import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { BadFrame } from '../../../src/wire/codec/bytes.ts';
import { Decoder } from '../../../src/wire/codec/decoder.ts';
import { bodyOf } from '../../../src/wire/codec/batch.ts';
import { Encoder } from '../../../src/wire/codec/encoder.ts';
import { PAGE_BYTES, type Item } from '../../../src/wire/codec/item.ts';
import { DEFAULT_SETTINGS } from '../../../src/wire/codec/settings.ts';
import * as support from './support.ts';

const { SMALL, hash64, pageOf } = support;

function page(at: number, bytes: Buffer, block = 0): Item {
  return { kind: 'page', block, offset: at * PAGE_BYTES, bytes };
}

function changed(seed: number, at: number): Buffer {
  const bytes = pageOf(seed);
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  return bytes;
}

describe('the codec', () => {
  test('the codec returns exactly its input, for any items', () => {
    fc.assert(
      fc.property(support.items, (items) => {
        const encoder = new Encoder(SMALL, { hash64 });
        encoder.sparing = true;
        const decoder = new Decoder(SMALL, { hash64 });
        const out = support.decodeAll(decoder, support.encodeAll(encoder, items));
        assert.deepEqual(support.joined(out), support.joined(items));
      }),
      { numRuns: 600 },
    );
  });

  test('the codec returns exactly its input if caches differ and forget', () => {
    const shelves = fc.record({
      near: fc.array(fc.nat(8)),
      far: fc.array(fc.nat(8)),
      lost: fc.array(fc.nat(8)),
      bases: fc.array(fc.record({ page: fc.nat(6), seed: fc.nat(8) })),
    });
    fc.assert(
      fc.property(support.items, shelves, (items, { near, far, lost, bases }) => {
        const here = new support.Shelf();
        const there = new support.Shelf();
        here.far = there;
        for (const seed of near) here.arrived(pageOf(seed));
        for (const seed of far) there.arrived(pageOf(seed));
        for (const { page: at, seed } of bases) {
          here.bases.set(`0:${at}`, here.nameOf(pageOf(seed)));
          there.bases.set(`0:${at}`, here.nameOf(pageOf(seed)));
        }
        const encoder = new Encoder(SMALL, { hash64, contents: here });
        encoder.sparing = items.length % 2 === 0;
        const decoder = new Decoder(SMALL, { hash64, contents: there });
        const out: Item[] = [];
        for (const item of [...items, undefined]) {
          const batches = item === undefined ? encoder.flush() : encoder.add(item);
          for (const batch of batches) {
            for (const seed of lost) there.pages.delete(there.nameOf(pageOf(seed)).toString('hex'));
            const pending = decoder.open(bodyOf(batch), batch);
            support.fillFrom(encoder, pending);
            const number = support.take(decoder, pending, (got) => out.push(support.copyOf(got)));
            encoder.acknowledge(number);
          }
        }
        assert.deepEqual(support.joined(out), support.joined(items));
      }),
      { numRuns: 600 },
    );
  });

  test('the codec encodes each page in the cheapest possible way', () => {
    const here = new support.Shelf();
    const there = new support.Shelf();
    here.far = there;
    there.arrived(pageOf(5));
    for (const shelf of [here, there]) {
      shelf.arrived(pageOf(6));
      shelf.bases.set('0:20', shelf.nameOf(pageOf(6)));
      shelf.bases.set('0:21', shelf.nameOf(pageOf(6)));
    }
    const encoder = new Encoder(DEFAULT_SETTINGS, { hash64, contents: here });
    const items = [
      page(0, pageOf(0)),
      page(1, pageOf(1)),
      page(1, pageOf(1)),
      page(2, pageOf(1)),
      page(1, changed(1, 77)),
      page(3, pageOf(5)),
      page(20, pageOf(6)),
      page(21, changed(6, 9)),
    ];
    const batches = support.encodeAll(encoder, items);
    assert.deepEqual(encoder.encoded, {
      bytes: 0,
      zero: 1,
      literal: 1,
      same: 1,
      repeat: 1,
      delta: 1,
      cached: 1,
      base: 1,
      deltaOfBase: 1,
      code: 0,
    });
    assert.equal(batches.length, 1);
    assert.ok(bodyOf(batches[0]!).length < PAGE_BYTES + 200);
  });

  test('the codec encodes code as such if bytes are worth the work', () => {
    const encoder = new Encoder(SMALL, { hash64 });
    const decoder = new Decoder(SMALL, { hash64 });
    encoder.sparing = true;
    const items: Item[] = [3, 4, 7].map((seed, at) => {
      return { kind: 'page', block: 0, offset: (2 ** 39 + at) * PAGE_BYTES, bytes: pageOf(seed) };
    });
    const out = support.decodeAll(decoder, support.encodeAll(encoder, items));
    assert.deepEqual(support.joined(out), support.joined(items));
    const { code, literal } = encoder.encoded;
    assert.deepEqual({ code, literal }, { code: 2, literal: 1 });
  });

  test('the codec uses one record for a run of pages encoded alike', () => {
    const encoder = new Encoder(DEFAULT_SETTINGS, { hash64 });
    const zeros = Array.from({ length: 4000 }, (_, at) => page(at, pageOf(0)));
    const [batch, ...more] = support.encodeAll(encoder, zeros);
    assert.equal(more.length, 0);
    assert.ok(bodyOf(batch!).length < 16, `${bodyOf(batch!).length} bytes`);
  });

  test('the codec makes no reference without an answer to a miss of it', () => {
    const here = new support.Shelf();
    const there = new support.Shelf();
    here.far = there;
    for (let seed = 1; seed < 40; seed += 1) there.arrived(pageOf(seed));
    const encoder = new Encoder(SMALL, { hash64, contents: here });
    const pages = Array.from({ length: 30 }, (_, at) => page(at, pageOf(at + 1)));
    const batches = support.encodeAll(encoder, pages);
    assert.equal(encoder.encoded.cached, SMALL.windowPages);
    encoder.acknowledge(batches.at(-1)!.lastNumber);
    encoder.add(page(50, pageOf(39)));
    assert.equal(encoder.encoded.cached, SMALL.windowPages + 1);
  });

  test('the codec names a batch whose contents differ from the sent ones', () => {
    const here = new support.Shelf();
    const there = new support.Shelf();
    here.far = there;
    there.pages.set(here.nameOf(pageOf(3)).toString('hex'), pageOf(4));
    const encoder = new Encoder(SMALL, { hash64, contents: here });
    const decoder = new Decoder(SMALL, { hash64, contents: there });
    const batches = support.encodeAll(encoder, [page(0, pageOf(3))]);
    assert.throws(() => support.decodeAll(decoder, batches), BadFrame);
  });

  test('the codec refuses an item that is not a page', () => {
    const encoder = new Encoder(SMALL, { hash64 });
    const bytes = pageOf(1);
    for (const item of [
      { kind: 'page', block: -1, offset: 0, bytes },
      { kind: 'page', block: 4096, offset: 0, bytes },
      { kind: 'page', block: 0, offset: 12, bytes },
      { kind: 'page', block: 0, offset: 0, bytes: bytes.subarray(1) },
    ] as const) {
      assert.throws(() => encoder.add(item), RangeError);
    }
  });
});

describe('a hostile batch', () => {
  const encoded = fc.tuple(support.items, fc.nat(), fc.array(fc.tuple(fc.nat(), fc.nat(255))));

  test('a hostile batch is refused or decoded to at most its items, whatever was changed in it', () => {
    fc.assert(
      fc.property(encoded, fc.nat(300), ([items, pick, changes], cut) => {
        const encoder = new Encoder(SMALL, { hash64 });
        encoder.sparing = true;
        const decoder = new Decoder(SMALL, { hash64 });
        const batches = support.encodeAll(encoder, items);
        const bad = batches.length === 0 ? -1 : pick % batches.length;
        let given = 0;
        for (const [at, batch] of batches.entries()) {
          let body = bodyOf(batch);
          if (at === bad) {
            body = Buffer.from(body.subarray(0, body.length - (cut > 200 ? cut - 200 : 0)));
            // Aimed at the records, which lie in front.
            for (const [where, to] of changes) body[where % Math.min(body.length, 64)] = to;
          }
          try {
            support.take(decoder, decoder.open(body, batch), () => (given += 1));
          } catch (error) {
            assert.ok(error instanceof BadFrame, String(error));
            break;
          }
        }
        const most = batches.reduce((sum, batch) => sum + batch.items, 0);
        assert.ok(given <= most);
      }),
      { numRuns: 2000 },
    );
  });

  test('a batch of bytes that no encoder made is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(20), (bytes, items) => {
        const decoder = new Decoder(SMALL, { hash64 });
        const body = Buffer.concat([Buffer.from([0, 0, 0, Math.min(40, bytes.length)]), bytes]);
        assert.throws(
          () => support.take(decoder, decoder.open(body, { items, hash: 1n }), () => undefined),
          BadFrame,
        );
      }),
      { numRuns: 2000 },
    );
  });
});
