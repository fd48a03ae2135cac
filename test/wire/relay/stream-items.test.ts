import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Decoder } from '../../../src/wire/codec/decoder.ts';
import { Encoder } from '../../../src/wire/codec/encoder.ts';
import type { Item } from '../../../src/wire/codec/item.ts';
import { BadItems, Rebuild } from '../../../src/wire/relay/rebuild.ts';
import { AWAITED } from '../../../src/wire/relay/in-flight.ts';
import { StreamItems } from '../../../src/wire/relay/stream-items.ts';
import { StreamContext } from '../../../src/wire/stream/context.ts';
import * as codec from '../codec/support.ts';
import * as samples from '../stream/samples.ts';
import * as writer from '../stream/writer.ts';
import { longStream, stream } from './streams.ts';

/** Cases of each property; GODWIT_FUZZ_RUNS makes it a long run. */
const RUNS = Number(process.env['GODWIT_FUZZ_RUNS'] ?? 4000);

const RAM_STARTS = [
  writer.fileHeader(),
  writer.sectionHeader('start', 2, 'ram'),
  writer.ramList([writer.PC_RAM]),
  writer.endOfSection,
  writer.footer(2),
];
const PAGES = [
  writer.page(0, Buffer.alloc(4096, 1), writer.PC_RAM.name),
  writer.page(4096, Buffer.alloc(4096, 2)),
];

/** Items as they leave the source's relay; every so many chunks the stream pauses. */
function itemsOf(bytes: Uint8Array, lengths: readonly number[], every = Infinity): Item[] {
  const items = new StreamItems(new StreamContext());
  const out: Item[] = [];
  let count = 0;
  for (const chunk of samples.chunks(bytes, lengths)) {
    // The codec has copied what it was given before the chunk is used again.
    out.push(...items.push(chunk).map(codec.copyOf));
    chunk.fill(0xee);
    count += 1;
    if (count % every === 0) out.push(...items.flush().map(codec.copyOf));
  }
  return [...out, ...items.end().map(codec.copyOf)];
}

function rebuilt(items: readonly Item[]): Buffer {
  const rebuild = new Rebuild();
  const pieces: Buffer[] = [];
  for (const item of items) rebuild.take(item, (bytes) => pieces.push(Buffer.from(bytes)));
  assert.ok(rebuild.ended);
  return Buffer.concat(pieces);
}

function throughCodec(items: readonly Item[]): Item[] {
  const encoder = new Encoder(codec.SMALL, { hash64: codec.hash64 });
  const decoder = new Decoder(codec.SMALL, { hash64: codec.hash64 });
  return codec.decodeAll(decoder, codec.encodeAll(encoder, items));
}

const damages = fc.array(samples.damage, { minLength: 1, maxLength: 4 });
const every = fc.integer({ min: 1, max: 4 });

describe('a stream as items', () => {
  test('a stream is rebuilt byte by byte, however it is split', () => {
    fc.assert(
      fc.property(stream, samples.chunking, every, (pieces, lengths, pauses) => {
        const bytes = samples.joined(pieces);
        assert.ok(rebuilt(itemsOf(bytes, lengths)).equals(bytes));
        assert.ok(rebuilt(itemsOf(bytes, lengths, pauses)).equals(bytes), 'with pauses');
      }),
      { numRuns: RUNS },
    );
  });

  test('a stream is rebuilt byte by byte if its headers are damaged', () => {
    fc.assert(
      fc.property(stream, damages, samples.chunking, (pieces, what, lengths) => {
        const bytes = samples.damaged(pieces, what);
        assert.ok(rebuilt(itemsOf(bytes, lengths)).equals(bytes));
      }),
      { numRuns: RUNS },
    );
  });

  test('a stream is rebuilt byte by byte with other page sizes, foreign pieces or any bytes', () => {
    const any = fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes));
    const other = fc.oneof(
      samples.validStream.map(samples.joined),
      samples.multifdStream.map(samples.joined),
      any,
    );
    fc.assert(
      fc.property(other, samples.chunking, (bytes, lengths) => {
        assert.ok(rebuilt(itemsOf(bytes, lengths)).equals(bytes));
      }),
      { numRuns: RUNS },
    );
  });

  test('a stream is rebuilt byte by byte after the codec', () => {
    fc.assert(
      fc.property(stream, damages, samples.chunking, (pieces, what, lengths) => {
        for (const bytes of [samples.joined(pieces), samples.damaged(pieces, what)]) {
          assert.ok(rebuilt(throughCodec(itemsOf(bytes, lengths))).equals(bytes));
        }
      }),
      { numRuns: Math.ceil(RUNS / 8) },
    );
  });

  test('a stream consists of pages, and little else', () => {
    const items = itemsOf(longStream(300), [65_536]);
    const bytes = items.filter(({ kind }) => kind === 'bytes');
    assert.equal(items.length - bytes.length, 300);
    assert.ok(bytes.length < 20, `${bytes.length} pieces`);
  });

  test('a stream counts the rounds through memory by the places of its pages', () => {
    for (const rounds of [1, 2, 5]) {
      const items = new StreamItems(new StreamContext());
      items.push(longStream(30, 1, rounds));
      assert.equal(items.round, rounds);
    }
  });

  test('a stream is in no round if post-copy recovers, since the guest waits', () => {
    const items = new StreamItems(new StreamContext());
    items.push(longStream(30, 1, 3).subarray(8));
    assert.equal(items.round, AWAITED);
  });

  test('a stream lets pages of pre-copy wait, and nothing else', () => {
    const items = new StreamItems(new StreamContext());
    const stream = longStream(30);
    // In the midst of the pages: before it is the header, and behind it what ends the section.
    const middle = stream.length - 40_000;
    items.push(stream.subarray(0, middle));
    assert.ok(!items.patient);
    items.pushed();
    items.push(stream.subarray(middle, middle + 20_000));
    assert.ok(items.patient);
    items.push(stream.subarray(middle + 20_000));
    assert.ok(!items.patient);
  });

  test("a stream lets no page wait once post-copy's package has arrived", () => {
    const items = new StreamItems(new StreamContext());
    items.push(Buffer.concat([...RAM_STARTS, writer.packaged(writer.footer(9))]));
    items.push(Buffer.concat([writer.partHeader('part', 2), PAGES[0]!]));
    items.pushed();
    items.push(PAGES[1]!);
    assert.ok(!items.patient);
  });

  test('a stream without a header lets no page wait if post-copy recovers', () => {
    const context = new StreamContext();
    new StreamItems(context).push(Buffer.concat(RAM_STARTS));
    const items = new StreamItems(context);
    items.push(Buffer.concat([writer.command(9), writer.partHeader('part', 2), PAGES[0]!]));
    items.pushed();
    items.push(PAGES[1]!);
    assert.ok(!items.patient);
  });
});

describe('items that no relay makes', () => {
  const bytes = (...values: number[]): Item => ({ kind: 'bytes', bytes: Buffer.from(values) });
  const page: Item = { kind: 'page', block: 0, offset: 0, bytes: Buffer.alloc(4096, 1) };
  const name = bytes(2, 0, 0, 1, 97);
  const cases: [string, Item[]][] = [
    ['an unknown token', [bytes(9)]],
    ['an unknown form', [bytes(1, 4)]],
    ['a page whose block has no name', [page]],
    ['a page within raw bytes', [name, bytes(0, 0, 0, 0, 2, 7), page]],
    ['a page within a token', [name, bytes(0, 0), page]],
    ['zeros that are none', [name, bytes(1, 2), page]],
    ['a block above the limit', [bytes(2, 0xff, 0xff, 1, 97)]],
    ['something behind the end', [bytes(3), bytes(0, 0, 0, 0, 1, 7)]],
    ['a page behind the end', [name, bytes(3), page]],
  ];
  for (const [what, items] of cases) {
    test(`a list of items that no relay makes is refused: ${what}`, () => {
      const rebuild = new Rebuild();
      assert.throws(() => {
        for (const item of items) rebuild.take(item, () => undefined);
      }, BadItems);
    });
  }

  test('items that no relay makes always end in bytes or a refusal', () => {
    const item = fc.oneof(
      fc.array(fc.oneof(fc.nat(4), fc.nat(255)), { maxLength: 12 }).map((all) => bytes(...all)),
      fc.record({ block: fc.nat(3), page: fc.nat(9), fill: fc.nat(1) }).map((of): Item => {
        const { block, page: at, fill } = of;
        return { kind: 'page', block, offset: at * 4096, bytes: Buffer.alloc(4096, fill) };
      }),
    );
    fc.assert(
      fc.property(fc.array(item, { maxLength: 12 }), (items) => {
        const rebuild = new Rebuild();
        try {
          for (const each of items) rebuild.take(each, () => undefined);
        } catch (error) {
          assert.ok(error instanceof BadItems, String(error));
        }
      }),
      { numRuns: RUNS },
    );
  });
});
