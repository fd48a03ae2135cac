import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StreamContext } from '../../../src/wire/stream/context.ts';
import { MainChannel } from '../../../src/wire/stream/main-channel.ts';
import { Collector } from './collector.ts';
import * as writer from './writer.ts';

const PAGE = 4096;
const RAM: writer.Block = { name: 'pc.ram', bytes: 16 * PAGE };
const one = Buffer.alloc(PAGE, 1);
const two = Buffer.alloc(PAGE, 2);

const start = Buffer.concat([
  writer.sectionHeader('start', 2, 'ram'),
  writer.ramList([RAM, { name: 'vga.vram', bytes: 4 * PAGE }]),
  writer.endOfSection,
  writer.footer(2),
]);

function part(records: readonly Buffer[], kind: 'part' | 'end' = 'part'): Buffer {
  const body = [...records, writer.endOfSection, writer.footer(2)];
  return Buffer.concat([writer.partHeader(kind, 2), ...body]);
}

function parse(parts: readonly Buffer[], context = new StreamContext()): Collector {
  const collector = new Collector();
  const parser = new MainChannel(collector, context);
  const stream = Buffer.concat(parts);
  parser.push(stream);
  parser.end();
  assert.ok(collector.joined().equals(stream));
  return collector;
}

const lost = ({ notes }: Collector) =>
  notes.flatMap((note) => (note.type === 'lost' ? [note.why] : []));

describe('the main channel', () => {
  test('the main channel shows pages, zero pages and deltas with their places', () => {
    const records = [
      writer.page(0, one, 'pc.ram'),
      writer.zeroPage(PAGE),
      writer.xbzrle(2 * PAGE, Buffer.from([1, 2, 3])),
      writer.page(0, two, 'vga.vram'),
    ];
    const found = parse([writer.fileHeader(), start, part(records), writer.description('{}')]);
    assert.deepEqual(
      found.items.flatMap(({ about }) => about ?? []),
      [
        '0 pc.ram 0 named',
        '0 pc.ram 4096 continued',
        '0 pc.ram 8192 continued',
        '1 vga.vram 0 named',
      ],
    );
    assert.deepEqual(lost(found), []);
  });

  test('the main channel names each element of a complete stream', () => {
    const found = parse([
      writer.fileHeader(),
      writer.command(2, Buffer.alloc(4)),
      start,
      part([writer.page(0, one, 'pc.ram'), writer.multifdFlush]),
      part([writer.compressedPage(0, Buffer.from([9, 9]))], 'end'),
      writer.device(5, 'cpu', Buffer.from([1, 0, 0x7e, 0, 0, 0, 5, 99, 3])),
      writer.description('{"a": 1}'),
    ]);
    assert.deepEqual(found.kinds(), [
      'file-header',
      'configuration',
      'command',
      'section-header',
      'ram-list',
      'ram-control',
      'section-footer',
      'section-header',
      'page',
      'ram-control',
      'section-footer',
      'section-header',
      'compressed-page',
      'ram-control',
      'section-footer',
      'section-header',
      'device',
      'section-footer',
      'end',
      'description',
    ]);
  });

  test('the main channel reports sections, blocks, commands and the end in order', () => {
    const found = parse([writer.fileHeader(), writer.command(1), start, writer.description('{}')]);
    assert.deepEqual(
      found.notes.map((note) => ('name' in note ? `${note.type} ${note.name}` : note.type)),
      ['command OPEN_RETURN_PATH', 'section ram', 'blocks', 'ram-section-end', 'end'],
    );
  });

  test("the main channel detects the end of a device's state by its footer and the next element", () => {
    const planted = Buffer.concat([Buffer.alloc(3), writer.footer(9), Buffer.from([0x55])]);
    const found = parse([writer.fileHeader(), start, writer.device(9, 'dev', planted), part([])]);
    assert.equal(found.bytesOf('device'), planted.length);
    assert.deepEqual(lost(found), []);
  });

  test("the main channel finds RAM again behind a device's state between RAM's start and its first part", () => {
    const parts = [
      writer.device(7, 'virtio-mem', Buffer.alloc(90, 3)),
      part([writer.zeroPage(0, 'pc.ram')]),
    ];
    const found = parse([writer.fileHeader(), start, ...parts]);
    assert.equal(found.pages.zero, 1);
    assert.deepEqual(lost(found), []);
  });

  test('the main channel parses a package, and continues behind it whatever its contents', () => {
    const inside = [
      writer.command(4),
      writer.device(3, 'timer', Buffer.alloc(9)),
      writer.command(5),
    ];
    const whole = writer.packaged(Buffer.concat(inside));
    const broken = writer.packaged(Buffer.from([0xff, 1, 2, 3]));
    const cut = writer.packaged(writer.sectionHeader('full', 3, 'timer').subarray(0, 9));
    const found = parse([
      writer.fileHeader(),
      start,
      whole,
      broken,
      cut,
      part([writer.page(0, one, 'pc.ram')]),
      Buffer.from([0]),
    ]);
    assert.equal(found.pages.page, 1);
    assert.deepEqual(lost(found), ['not an element', 'an item runs over the end of its package']);
    assert.equal(found.notes.filter(({ type }) => type === 'found').length, 2);
    assert.equal(found.notes.at(-1)?.type, 'end');
  });

  test('the main channel accepts no record for a page outside its block', () => {
    for (const record of [
      writer.page(16 * PAGE, one, 'pc.ram'),
      writer.page(0, one, 'nobody'),
      writer.page(0, one),
      writer.zeroPage(2 ** 52, 'pc.ram'),
      writer.be64(PAGE + 0x10),
    ]) {
      const found = parse([writer.fileHeader(), start, part([record])]);
      assert.equal(found.pages.page + found.pages.zero, 0);
      assert.deepEqual(lost(found), ['not a RAM record']);
    }
  });

  test('the main channel recovers at the next part after a damaged record', () => {
    const damaged = writer.page(PAGE, one);
    damaged[7] = 0xff;
    const parts = [
      part([writer.page(0, one, 'pc.ram'), damaged]),
      part([writer.page(PAGE, two, 'pc.ram')]),
    ];
    const found = parse([writer.fileHeader(), start, ...parts, writer.description('{}')]);
    assert.equal(found.pages.page, 2);
    assert.equal(found.bytesOf('unknown'), damaged.length + writer.endOfSection.length);
    assert.equal(found.notes.at(-1)?.type, 'end');
  });

  test('the main channel assigns a page without a name to the last block, whatever the record', () => {
    for (const before of [
      writer.zeroPage(0, 'vga.vram'),
      writer.xbzrle(0, Buffer.from([1]), 'vga.vram'),
      writer.compressedPage(0, Buffer.from([1]), 'vga.vram'),
      writer.page(0, two, 'vga.vram'),
    ]) {
      const records = [writer.page(0, one, 'pc.ram'), before, writer.page(PAGE, one)];
      const found = parse([writer.fileHeader(), start, part(records)]);
      assert.equal(
        found.items.findLast(({ kind }) => kind === 'page')?.about,
        '1 vga.vram 4096 continued',
      );
    }
  });

  test("the main channel detects the last footer of a stream without a description by the stream's end", () => {
    const last = writer.device(9, 'dev', Buffer.alloc(20, 9));
    const found = parse([writer.fileHeader(), start, last, Buffer.from([0])]);
    assert.deepEqual(found.kinds().slice(-3), ['device', 'section-footer', 'end']);
    assert.equal(found.notes.at(-1)?.type, 'end');
  });

  test('the main channel keeps its blocks when a damaged record looks like an empty list', () => {
    const parts = [part([writer.ramList([])]), part([writer.page(0, one, 'pc.ram')])];
    const found = parse([writer.fileHeader(), start, ...parts]);
    assert.equal(found.pages.page, 1);
    assert.deepEqual(lost(found), ['not a RAM record']);
  });

  test('the main channel does without footers if the machine type has none', () => {
    const bare = (bytes: Buffer) => bytes.subarray(0, bytes.length - 5);
    const found = parse([
      writer.fileHeader(),
      bare(start),
      bare(part([writer.page(0, one, 'pc.ram')])),
      bare(writer.device(7, 'virtio-mem', Buffer.alloc(20))),
      bare(part([writer.page(PAGE, two)])),
      Buffer.from([0]),
    ]);
    assert.equal(found.pages.page, 2);
    assert.deepEqual(lost(found), []);
  });

  test("the main channel takes the page size from the configuration and from post-copy's advice", () => {
    const bits = writer.subsection('configuration/target-page-bits', Buffer.from([0, 0, 0, 14]));
    const advice = writer.command(3, Buffer.concat([writer.be64(PAGE), writer.be64(16_384)]));
    for (const said of [bits, advice]) {
      const context = new StreamContext();
      const large = part([writer.page(16_384, Buffer.alloc(16_384, 5), 'pc.ram')]);
      const found = parse([writer.fileHeader(), said, start, large], context);
      assert.equal(context.pageBytes, 16_384);
      assert.equal(found.bytesOf('page'), 16_384 + 15);
    }
  });

  test('the main channel begins with a command if post-copy recovers on a new connection', () => {
    const context = new StreamContext();
    parse([writer.fileHeader(), start], context);
    const found = parse([writer.command(9), part([writer.page(0, one, 'pc.ram')])], context);
    assert.equal(found.pages.page, 1);
    assert.deepEqual(lost(found), []);
  });

  test('the main channel passes on a file with mapped RAM, which has no records', () => {
    const mapped = writer.capabilities(['mapped-ram']);
    const found = parse([writer.fileHeader(), mapped, start]);
    assert.deepEqual(lost(found), ['not a RAM record']);
  });

  test("the main channel passes on a newer QEMU's command by its length", () => {
    const found = parse([writer.fileHeader(), writer.command(40, Buffer.alloc(7)), start]);
    assert.deepEqual(lost(found), []);
    assert.deepEqual(found.notes[0], { type: 'command', code: 40, name: '' });
  });

  test('the main channel ignores a false length', () => {
    const long = Buffer.concat([Buffer.from([0, 6, 0xff, 0xff, 0xff, 0xff]), Buffer.alloc(50)]);
    const found = parse([writer.fileHeader(), start, long]);
    assert.equal(found.bytesOf('description'), 55);
  });
});
