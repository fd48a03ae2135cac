import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import * as fields from '../../../src/wire/stream/fields.ts';

describe('fields', () => {
  test('fields are read as Node reads them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 9, maxLength: 20 }), (bytes) => {
        const buffer = Buffer.from(bytes);
        assert.equal(fields.u16(bytes, 1), buffer.readUInt16BE(1));
        assert.equal(fields.u32(bytes, 1), buffer.readUInt32BE(1));
        assert.equal(fields.u64(bytes, 1), Number(buffer.readBigUInt64BE(1)));
      }),
    );
  });

  test('text fields are printable', () => {
    const bytes = Buffer.from('pc.ram\u0000');
    assert.ok(fields.isPrintable(bytes, 0, 6));
    assert.ok(!fields.isPrintable(bytes, 0, 7));
    assert.equal(fields.text(bytes, 3, 6), 'ram');
  });

  test('powers of two are recognized', () => {
    const powers = [0, 1, 3, 4096, 2 ** 40, 2 ** 40 + 1].filter((value) =>
      fields.isPowerOfTwo(value),
    );
    assert.deepEqual(powers, [1, 4096, 2 ** 40]);
  });
});
