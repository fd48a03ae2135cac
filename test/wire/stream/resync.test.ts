import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StreamContext } from '../../../src/wire/stream/context.ts';
import { resync } from '../../../src/wire/stream/resync.ts';
import * as writer from './writer.ts';

function contextWithRam(): StreamContext {
  const context = new StreamContext();
  context.openSection(2, 'ram');
  return context;
}

/** As a record's header would be judged: valid when it is an end of section. */
const record = (bytes: Buffer) => (at: number) => {
  if (bytes.length - at < 8) return -8;
  return bytes.subarray(at, at + 8).equals(writer.endOfSection) ? 8 : 0;
};

function seek(bytes: Buffer, options: { section?: number; context?: StreamContext } = {}) {
  const context = options.context ?? contextWithRam();
  const window = { bytes, at: 0, end: bytes.length, last: false };
  return resync(context, options.section, record(bytes), window);
}

const noise = Buffer.from([0x7e, 0, 0, 9, 2, 0, 0, 1, 1, 3, 0x7e]);

describe('the return', () => {
  test('the parser resynchronizes at the footer of the open section', () => {
    const bytes = Buffer.concat([noise, writer.footer(4), writer.footer(5), writer.command(5)]);
    assert.deepEqual(seek(bytes, { section: 5 }), { kind: 'footer', at: noise.length + 5 });
    assert.deepEqual(seek(bytes, { section: 4 }), { kind: 'none', at: bytes.length });
  });

  test('the parser resynchronizes when lost at any footer with an element behind it', () => {
    const bytes = Buffer.concat([noise, writer.footer(77), writer.command(5)]);
    assert.deepEqual(seek(bytes), { kind: 'footer', at: noise.length });
  });

  test('the parser resynchronizes at a part of RAM that begins with a record', () => {
    const part = Buffer.concat([writer.partHeader('part', 2), writer.endOfSection]);
    const bytes = Buffer.concat([noise, writer.partHeader('part', 2), noise, part]);
    assert.deepEqual(seek(bytes, { section: 9 }), {
      kind: 'element',
      at: bytes.length - part.length,
    });
  });

  test('the parser resynchronizes at the start of RAM, but not inside a device once it is known', () => {
    const bytes = Buffer.concat([noise, writer.sectionHeader('start', 3, 'ram')]);
    assert.deepEqual(seek(bytes), { kind: 'element', at: noise.length });
    const before = { section: 9, context: new StreamContext() };
    assert.deepEqual(seek(bytes, before), { kind: 'element', at: noise.length });
    assert.equal(seek(bytes, { section: 9 }).kind, 'none');
  });

  test('the parser waits for the bytes that decide on a resync', () => {
    const bytes = Buffer.concat([noise, writer.footer(5)]);
    assert.deepEqual(seek(bytes, { section: 5 }), { kind: 'more', at: noise.length, needed: 6 });
  });
});
