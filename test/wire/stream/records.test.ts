import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { recordHeader } from '../../../src/wire/stream/records.ts';
import * as writer from './writer.ts';

const block = { index: 0, name: 'pc.ram', usedBytes: 2 ** 40 };
const empty = Buffer.alloc(0);

describe('the header of a record', () => {
  test("a record's header is rebuilt from the data that a sink receives", () => {
    const address = 2 ** 36 + 4096;
    const named = { block, address, header: 'named' } as const;
    const continued = { block, address, header: 'continued' } as const;
    assert.deepEqual(recordHeader('page', named), writer.page(address, empty, 'pc.ram'));
    assert.deepEqual(recordHeader('page', continued), writer.page(address, empty));
    const zero = writer.zeroPage(address, 'pc.ram');
    assert.deepEqual(recordHeader('zero', named), zero.subarray(0, zero.length - 1));
    const delta = writer.xbzrle(address, empty);
    assert.deepEqual(recordHeader('xbzrle', continued), delta.subarray(0, delta.length - 3));
  });

  test('a record has no header if pages are named ahead of it', () => {
    assert.equal(recordHeader('page', { block, address: 0, header: 'none' }).length, 0);
  });
});
