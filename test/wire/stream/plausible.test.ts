import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StreamContext } from '../../../src/wire/stream/context.ts';
import * as plausible from '../../../src/wire/stream/plausible.ts';
import * as writer from './writer.ts';

const context = new StreamContext();
context.openSection(2, 'ram');

function element(bytes: Buffer): number {
  return plausible.element(context, bytes, 0, bytes.length);
}

describe('plausible elements', () => {
  test('every element that QEMU writes is plausible', () => {
    for (const [bytes, used] of [
      [writer.sectionHeader('full', 900, 'cpu_common'), 24],
      [writer.partHeader('end', 2), 5],
      [writer.command(5), 5],
      [writer.description('{}'), 1],
    ] as const) {
      assert.equal(element(bytes), used);
    }
  });

  test('nothing else is a plausible element', () => {
    for (const bytes of [
      writer.partHeader('part', 3),
      writer.command(99),
      writer.command(4, Buffer.alloc(1)),
      writer.sectionHeader('start', 1, 'caf\u00e9'),
      writer.sectionHeader('full', 1, 'cpu', 0x10_0000),
      Buffer.from([0, 6, 0, 0, 0, 9, 0x20]),
      Buffer.alloc(9),
      Buffer.from([9, 9, 9, 9, 9]),
    ]) {
      assert.equal(element(bytes), plausible.NO);
    }
  });

  test('an undecided element needs more bytes than are there', () => {
    const all = [
      writer.sectionHeader('full', 9, 'cpu'),
      writer.partHeader('part', 2),
      writer.command(5),
    ];
    for (const bytes of [...all, writer.description('{}').subarray(0, 7)]) {
      for (let end = 1; end < bytes.length; end += 1) {
        assert.ok(plausible.element(context, bytes, 0, end) < -end, `${end} of ${bytes.length}`);
      }
    }
  });
});

describe('a footer', () => {
  const footer = writer.footer(0x0102);
  const window = (bytes: Buffer, last = false) => ({ at: 0, end: bytes.length, last });

  test('a footer counts when an element follows, or nothing can', () => {
    const followed = Buffer.concat([footer, writer.command(5)]);
    assert.equal(plausible.footerAndNext(context, 0x0102, followed, window(followed)), 5);
    assert.equal(plausible.footerAndNext(context, 0x0102, footer, window(footer, true)), 5);
    const ended = Buffer.concat([footer, Buffer.alloc(1)]);
    assert.equal(plausible.footerAndNext(context, undefined, ended, window(ended, true)), 5);
  });

  test('a footer does not count for another section, nor before bytes that are not an element', () => {
    const followed = Buffer.concat([footer, writer.command(5)]);
    assert.equal(plausible.footerAndNext(context, 7, followed, window(followed)), plausible.NO);
    const before = Buffer.concat([footer, Buffer.from([0x44])]);
    assert.equal(plausible.footerAndNext(context, 0x0102, before, window(before)), plausible.NO);
    for (let end = 2; end < 5; end += 1) {
      const at = { at: 0, end, last: false };
      assert.equal(plausible.footerAndNext(context, 0x7777_7777, footer, at), plausible.NO);
      assert.equal(plausible.footerAndNext(context, 0x0102, footer, at), -6);
    }
  });
});

describe('the start of RAM', () => {
  test('the start of RAM is recognized by its name and version', () => {
    const bytes = writer.sectionHeader('start', 0x0909, 'ram');
    assert.equal(plausible.ramStart(bytes, 0, bytes.length), bytes.length);
    const other = writer.sectionHeader('start', 0x0909, 'rom');
    assert.equal(plausible.ramStart(other, 0, other.length), plausible.NO);
    const newer = writer.sectionHeader('start', 0x0909, 'ram', 5);
    assert.equal(plausible.ramStart(newer, 0, newer.length), plausible.NO);
  });
});
