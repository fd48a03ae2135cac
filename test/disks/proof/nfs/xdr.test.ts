import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { XdrReader, XdrWriter } from '../../../../src/disks/proof/nfs/xdr.ts';

describe('XDR', () => {
  test('is read as it was written, to its last byte', () => {
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

  test('ends where its bytes do, and takes no length above its bound', () => {
    const long = new XdrWriter().opaque(Buffer.alloc(65)).bytes();
    assert.throws(() => new XdrReader(long).opaque(64), /65 bytes where 64/);
    assert.throws(() => new XdrReader(long.subarray(0, 40)).opaque(65), /ends early/);
    assert.throws(() => new XdrReader(Buffer.alloc(8, 0xff)).uint64(), /out of bounds/);
    assert.throws(() => new XdrReader(Buffer.alloc(4, 2)).bool(), /neither/);
  });
});
