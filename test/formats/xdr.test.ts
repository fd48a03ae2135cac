import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { XdrError, XdrReader, XdrWriter } from '../../src/formats/xdr.ts';

const MAX = 64 * 1024;

describe('XDR', () => {
  test('XDR is read as it was written, to its last byte', () => {
    const parts = [
      fc.nat(),
      fc.maxSafeNat(),
      fc.uint8Array({ maxLength: 70 }),
      fc.boolean(),
    ] as const;
    fc.assert(
      fc.property(...parts, (small, large, data, flag) => {
        const writer = new XdrWriter().uint32(small).uint64(large).opaque(data);
        const reader = new XdrReader(writer.uint32(Number(flag)).bytes());
        assert.deepEqual([reader.uint32(), reader.uint64()], [small, large]);
        assert.deepEqual([...reader.opaque(70)], [...data]);
        assert.equal(reader.bool(), flag);
        assert.equal(reader.left, 0);
      }),
    );
  });

  test('XDR ends with its bytes, and accepts no length above its limit', () => {
    const long = new XdrWriter().opaque(Buffer.alloc(65)).bytes();
    assert.throws(() => new XdrReader(long).opaque(64), /65 bytes where 64/);
    assert.throws(() => new XdrReader(long.subarray(0, 40)).opaque(65), /ends early/);
    assert.throws(() => new XdrReader(Buffer.alloc(8, 0xff)).uint64(), /out of bounds/);
    assert.throws(() => new XdrReader(Buffer.alloc(4, 2)).bool(), /neither/);
  });

  test('XDR keeps texts, UUIDs and optional values', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 64 });
    const absent = fc.option(text, { nil: undefined });
    fc.assert(
      fc.property(
        fc.integer(),
        fc.nat(),
        text,
        absent,
        fc.uuid(),
        (int, nat, word, maybe, uuid) => {
          const writer = new XdrWriter()
            .int32(int | 0)
            .uint32(nat)
            .string(word);
          const bytes = writer.optionalString(maybe).uuid(uuid).uint64(7n).bytes();
          assert.equal(bytes.length % 4, 0);
          const reader = new XdrReader(bytes);
          assert.equal(reader.int32(), int | 0);
          assert.equal(reader.uint32(), nat);
          assert.equal(reader.string(MAX), word.toWellFormed());
          assert.equal(reader.optionalString(MAX), maybe?.toWellFormed());
          assert.equal(reader.uuid(), uuid);
          assert.equal(reader.bigUint64(), 7n);
          assert.equal(reader.left, 0);
        },
      ),
    );
  });

  test('XDR accepts no length beyond its limit, and allocates no room for it', () => {
    const huge = new XdrWriter().uint32(0xffffffff).bytes();
    assert.throws(() => new XdrReader(huge).string(16), XdrError);
    assert.throws(() => new XdrReader(huge).list(16, () => 1), XdrError);
    assert.throws(() => new XdrReader(huge).bool(), XdrError);
    assert.throws(() => new XdrWriter().uuid('none'), XdrError);
  });
});
