import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StreamContext } from '../../../src/wire/stream/context.ts';
import { MultifdChannel } from '../../../src/wire/stream/multifd-channel.ts';
import { Collector } from './collector.ts';
import * as writer from './writer.ts';

const PAGE = 4096;
const content = Buffer.alloc(PAGE, 7);
const pages = [
  { address: 0, content },
  { address: 5 * PAGE, content: Buffer.alloc(PAGE, 8) },
];

function parse(parts: readonly Buffer[]): Collector {
  const context = new StreamContext();
  context.setBlocks([{ index: 0, name: 'pc.ram', usedBytes: 16 * PAGE }]);
  const collector = new Collector();
  const parser = new MultifdChannel(collector, context);
  const stream = Buffer.concat(parts);
  parser.push(stream);
  parser.end();
  assert.ok(collector.joined().equals(stream));
  return collector;
}

const hello = writer.multifdHello(2);
const plain = writer.multifdPacket({ block: 'pc.ram', pages, zeros: [2 * PAGE] });

describe('a multifd channel', () => {
  test("a multifd channel shows a packet's pages, which have no headers", () => {
    const found = parse([hello, plain, plain]);
    assert.deepEqual(found.items.flatMap(({ about }) => about ?? []).slice(0, 2), [
      '0 pc.ram 0 none',
      '0 pc.ram 20480 none',
    ]);
    assert.equal(found.pages.page, 4);
    assert.deepEqual(found.notes[0], { type: 'multifd-packet', pages: 2, zeroPages: 1 });
  });

  test('a multifd channel reads the zero pages of a packet behind its number', () => {
    const packet = writer.multifdPacket({ block: 'pc.ram' });
    packet.writeBigUInt64BE(7n, 24);
    packet.writeUInt32BE(3, 32);
    assert.deepEqual(parse([hello, packet]).notes, [
      { type: 'multifd-packet', pages: 0, zeroPages: 3 },
    ]);
  });

  test("a multifd channel passes on compressed pages and devices' state by their length", () => {
    const squeezed = writer.multifdPacket({
      flags: 4,
      block: 'pc.ram',
      pages,
      data: content.subarray(9),
    });
    const found = parse([hello, squeezed, writer.multifdDevice('vfio', Buffer.alloc(77)), plain]);
    assert.deepEqual(found.kinds(), [
      'multifd-hello',
      'multifd-header',
      'multifd-data',
      'multifd-header',
      'multifd-data',
      'multifd-header',
      'page',
    ]);
    assert.equal(found.bytesOf('multifd-data'), PAGE - 9 + 77);
  });

  test('a multifd channel reads a sync, which may state a size without data, and no room for pages', () => {
    const old = writer.multifdPacket({ flags: 1, block: '' });
    old.writeUInt32BE(PAGE, 20);
    const found = parse([hello, old, writer.multifdPacket({ flags: 1, room: 0 }), plain]);
    assert.deepEqual(
      found.notes.map(({ type }) => type),
      Array(3).fill('multifd-packet'),
    );
    assert.equal(found.pages.page, 2);
  });

  test('a multifd channel passes on pages of an unknown block as data', () => {
    const found = parse([hello, writer.multifdPacket({ block: 'other', pages })]);
    assert.equal(found.bytesOf('multifd-data'), 2 * PAGE);
  });

  test('a multifd channel finds the next packet after a damaged one', () => {
    const damaged = Buffer.from(plain);
    damaged[17] = 0xff;
    const found = parse([hello, damaged, plain]);
    assert.deepEqual(
      found.notes.map(({ type }) => type),
      ['lost', 'found', 'multifd-packet'],
    );
    assert.equal(found.bytesOf('unknown'), damaged.length);
    assert.equal(found.pages.page, 2);
  });
});
