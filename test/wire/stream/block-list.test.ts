import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BlockListReader, type ListOptions } from '../../../src/wire/stream/block-list.ts';
import { MAX_BLOCKS } from '../../../src/wire/stream/format.ts';
import type { RamBlock } from '../../../src/wire/stream/types.ts';
import * as writer from './writer.ts';

const MIB = 1024 ** 2;
const PLAIN: ListOptions = { advised: false, guestAddress: false };

/** Reads what follows the total; undefined when it is refused. Needs nothing twice. */
function read(total: number, bytes: Buffer, options: ListOptions): RamBlock[] | undefined {
  const reader = new BlockListReader();
  reader.begin(total);
  let at = 0;
  while (!reader.complete) {
    const used = reader.take(bytes, at, bytes.length, options);
    if (used <= 0) return undefined;
    at += used;
  }
  return reader.blocks;
}

function entry(name: string, ...numbers: number[]): Buffer {
  return Buffer.concat([
    Buffer.from([name.length]),
    Buffer.from(name),
    ...numbers.map(writer.be64),
  ]);
}

describe('the list of RAM blocks', () => {
  test('the list of RAM blocks ends when the lengths add up to the total', () => {
    const bytes = Buffer.concat([entry('pc.ram', 3 * MIB), entry('vga', MIB), writer.endOfSection]);
    assert.deepEqual(read(4 * MIB, bytes, PLAIN), [
      { index: 0, name: 'pc.ram', usedBytes: 3 * MIB },
      { index: 1, name: 'vga', usedBytes: MIB },
    ]);
  });

  test('the list of RAM blocks encodes huge pages by a number that can be neither block nor record', () => {
    const advised = { advised: true, guestAddress: false };
    const bytes = Buffer.concat([
      entry('a', MIB),
      entry('b', 4 * MIB, 2 * MIB),
      writer.endOfSection,
    ]);
    assert.deepEqual(
      read(5 * MIB, bytes, advised)?.map(({ pageBytes }) => pageBytes),
      [undefined, 2 * MIB],
    );
  });

  test('the list of RAM blocks distinguishes huge pages from addresses in the guest', () => {
    const both = { advised: true, guestAddress: true };
    const bytes = Buffer.concat([
      entry('a', MIB, 2 ** 32),
      entry('b', 4 * MIB, 2 * MIB, 0),
      entry('c', MIB, 2 ** 33),
      writer.endOfSection,
    ]);
    assert.deepEqual(
      read(6 * MIB, bytes, both)?.map(({ pageBytes }) => pageBytes),
      [undefined, 2 * MIB, undefined],
    );
    const only = Buffer.concat([entry('a', MIB, 2 ** 32), entry('b', MIB, 4096)]);
    assert.equal(read(2 * MIB, only, { advised: false, guestAddress: true })?.length, 2);
  });

  test('the list of RAM blocks is refused if it exceeds the total, lacks a name, or never ends', () => {
    assert.equal(read(MIB, entry('a', 2 * MIB), PLAIN), undefined);
    assert.equal(read(MIB, entry('', MIB), PLAIN), undefined);
    assert.equal(read(MIB, entry('\u0001', MIB), PLAIN), undefined);
    const endless = Buffer.concat(Array.from({ length: MAX_BLOCKS + 1 }, () => entry('a', 0)));
    assert.equal(read(MIB, endless, PLAIN), undefined);
  });
});
