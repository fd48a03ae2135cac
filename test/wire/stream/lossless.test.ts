import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseChannel } from '../../../src/wire/stream/channel.ts';
import { StreamContext } from '../../../src/wire/stream/context.ts';
import { MAX_HELD_BYTES } from '../../../src/wire/stream/format.ts';
import { ReturnPath } from './return-path.ts';
import type { ChannelParser, StreamSink } from '../../../src/wire/stream/types.ts';
import { Collector } from './collector.ts';
import * as samples from './samples.ts';
import * as writer from './writer.ts';

/** Cases of each property; GODWIT_FUZZ_RUNS makes it a long run. */
const RUNS = Number(process.env['GODWIT_FUZZ_RUNS'] ?? 5000);

type MakeParser = (sink: StreamSink) => ChannelParser;

const main: MakeParser = (sink) => parseChannel(sink);
const knowing: MakeParser = (sink) => {
  const context = new StreamContext();
  parseChannel(new Collector(), context).push(samples.preamble);
  return parseChannel(sink, context);
};
const back: MakeParser = (sink) => new ReturnPath(sink);

function parse(make: MakeParser, stream: Uint8Array, lengths: readonly number[]): Collector {
  const collector = new Collector();
  const parser = make(collector);
  for (const chunk of samples.chunks(stream, lengths)) {
    parser.push(chunk);
    // The caller's buffer is used again: what was reported must have been copied, what is kept too.
    chunk.fill(0xee);
    assert.ok(parser.heldBytes <= MAX_HELD_BYTES, 'holds more than it says');
  }
  parser.end();
  assert.equal(parser.heldBytes, 0);
  return collector;
}

const WHOLE = [Number.MAX_SAFE_INTEGER];

/** Nothing lost, and the same items however the stream is cut. */
function assertSame(make: MakeParser, stream: Buffer, lengths: readonly number[]): void {
  const whole = parse(make, stream, WHOLE);
  const cut = parse(make, stream, lengths);
  assert.ok(whole.joined().equals(stream), 'in one piece');
  assert.ok(cut.joined().equals(stream), 'in chunks');
  assert.deepEqual(cut.merged(), whole.merged());
  assert.deepEqual(cut.notes, whole.notes);
}

/** Every prefix of what was pushed is there after a flush, and the place is not lost by it. */
function assertLive(make: MakeParser, stream: Buffer, lengths: readonly number[], every: number) {
  const collector = new Collector();
  const parser = make(collector);
  let pushed = 0;
  let count = 0;
  for (const chunk of samples.chunks(stream, lengths)) {
    parser.push(chunk);
    pushed += chunk.length;
    count += 1;
    assert.equal(collector.bytes + parser.heldBytes, pushed);
    if (count % every !== 0) continue;
    parser.flush();
    assert.equal(parser.heldBytes, 0);
  }
  parser.end();
  assert.ok(collector.joined().equals(stream));
  assert.deepEqual(collector.notes, parse(make, stream, WHOLE).notes);
}

const anything = fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes));
const damages = fc.array(samples.damage, { minLength: 1, maxLength: 4 });
const every = fc.integer({ min: 1, max: 4 });
const runs = { numRuns: RUNS };

const channels = [
  { name: 'the main channel', make: main, pieces: samples.validStream },
  { name: 'a multifd channel', make: knowing, pieces: samples.multifdStream },
] as const;

describe('losslessness for each chunking', () => {
  for (const { name, make, pieces } of channels) {
    test(`the parser is lossless for each chunking of valid streams on ${name}`, () => {
      fc.assert(
        fc.property(pieces, samples.chunking, (stream, lengths) => {
          assertSame(make, samples.joined(stream), lengths);
        }),
        runs,
      );
    });

    test(`the parser is lossless for each chunking of streams on ${name} with damaged headers`, () => {
      fc.assert(
        fc.property(pieces, damages, samples.chunking, (stream, harm, lengths) => {
          assertSame(make, samples.damaged(stream, harm), lengths);
        }),
        runs,
      );
    });

    test(`the parser is lossless for each chunking of streams on ${name} that pause and are flushed`, () => {
      const harm = fc.array(samples.damage, { maxLength: 2 });
      fc.assert(
        fc.property(pieces, harm, samples.chunking, every, (stream, hurt, lengths, pause) => {
          assertLive(make, samples.damaged(stream, hurt), lengths, pause);
        }),
        runs,
      );
    });
  }

  test('the parser is lossless for each chunking of any bytes on any channel', () => {
    fc.assert(
      fc.property(
        anything,
        samples.chunking,
        fc.constantFrom(0x51, 0x11, 0, 8),
        (stream, lengths, first) => {
          const bytes = Buffer.concat([Buffer.from([first]), stream]);
          for (const make of [main, knowing, back]) assertSame(make, bytes, lengths);
        },
      ),
      runs,
    );
  });

  test('the parser is lossless for each chunking of any bytes after a valid beginning', () => {
    fc.assert(
      fc.property(anything, samples.chunking, every, (stream, lengths, pause) => {
        const bytes = Buffer.concat([samples.preamble, writer.partHeader('part', 2), stream]);
        assertSame(main, bytes, lengths);
        assertLive(main, bytes, lengths, pause);
      }),
      runs,
    );
  });

  test('the parser is lossless for each chunking of two streams spliced into one', () => {
    const cut = fc.nat({ max: 20_000 });
    fc.assert(
      fc.property(
        samples.validStream,
        samples.validStream,
        cut,
        samples.chunking,
        (one, two, at, lengths) => {
          const first = samples.joined(one);
          const second = samples.joined(two);
          const spliced = Buffer.concat([
            first.subarray(0, at % (first.length + 1)),
            second.subarray((at * 7) % (second.length + 1)),
          ]);
          assertSame(main, spliced, lengths);
        },
      ),
      runs,
    );
  });
});

describe('a parser', () => {
  test('the parser understands all of a valid main channel', () => {
    fc.assert(
      fc.property(samples.honestStream, (pieces) => {
        const found = parse(main, samples.joined(pieces), WHOLE);
        assert.equal(found.bytesOf('unknown') + found.bytesOf('torn'), 0);
        assert.deepEqual(found.notes.at(-1), { type: 'end' });
      }),
      runs,
    );
  });

  test('the parser recovers after damage to a header, within the section that follows', () => {
    const section = Buffer.concat([
      writer.partHeader('part', 2),
      writer.page(0, Buffer.alloc(samples.SMALL_PAGE, 1), 'pc.ram'),
      writer.page(samples.SMALL_PAGE, Buffer.alloc(samples.SMALL_PAGE, 2)),
      writer.endOfSection,
      writer.footer(2),
    ]);
    const good = Buffer.concat([section, section, writer.description('{}')]);
    fc.assert(
      fc.property(fc.nat(section.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const hurt = Buffer.from(section);
        hurt[at] = (hurt[at] ?? 0) ^ change;
        const found = parse(main, Buffer.concat([samples.preamble, hurt, good]), WHOLE);
        assert.ok(found.pages.page >= 4, `${found.pages.page} pages of 4 to 6`);
        assert.ok(found.notes.some(({ type }) => type === 'end'));
      }),
      runs,
    );
  });
});
