import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StreamContext } from '../../../src/wire/stream/context.ts';
import { PreemptChannel } from '../../../src/wire/stream/preempt-channel.ts';
import { Collector } from './collector.ts';
import * as writer from './writer.ts';

const PAGE = 4096;
const page = Buffer.alloc(PAGE, 7);

function parse(parts: readonly Buffer[]): Collector {
  const context = new StreamContext();
  context.setBlocks([{ index: 0, name: 'pc.ram', usedBytes: 16 * PAGE }]);
  const collector = new Collector();
  const parser = new PreemptChannel(collector, context);
  const stream = Buffer.concat(parts);
  parser.push(stream);
  parser.end();
  assert.ok(collector.joined().equals(stream));
  return collector;
}

describe("post-copy's second channel", () => {
  test("post-copy's second channel has RAM records from its first byte on", () => {
    const found = parse([
      writer.page(0, page, 'pc.ram'),
      writer.page(PAGE, page),
      writer.endOfSection,
      writer.zeroPage(2 * PAGE),
    ]);
    assert.deepEqual(found.pages, { page: 2, zero: 1, xbzrle: 0 });
    assert.deepEqual(found.notes, [{ type: 'ram-section-end' }]);
  });

  test("post-copy's second channel finds the next record with a block name after a damaged one", () => {
    const found = parse([
      writer.page(0, page, 'pc.ram'),
      Buffer.from([9, 9, 9]),
      writer.page(PAGE, page),
      writer.page(2 * PAGE, page, 'pc.ram'),
    ]);
    assert.deepEqual(
      found.notes.map(({ type }) => type),
      ['lost', 'found'],
    );
    assert.equal(found.bytesOf('unknown'), 3 + 8 + PAGE);
    assert.equal(found.pages.page, 2);
  });

  test("post-copy's second channel has no list of blocks", () => {
    const found = parse([writer.ramList([{ name: 'pc.ram', bytes: PAGE }])]);
    assert.equal(found.notes[0]?.type, 'lost');
  });
});
