import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { XdrError, XdrReader, XdrWriter } from '../../../../src/drivers/libvirt/rpc/xdr.ts';
import { decodeParams, encodeParams } from '../../../../src/drivers/libvirt/rpc/params.ts';

const MOST = 64 * 1024;

describe('XDR', () => {
  test('reads what it has written, and nothing is left', () => {
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
            .int(int | 0)
            .unsigned(nat)
            .string(word);
          const bytes = writer.optionalString(maybe).uuid(uuid).unsignedHyper(7n).bytes();
          assert.equal(bytes.length % 4, 0);
          const reader = new XdrReader(bytes);
          assert.equal(reader.int(), int | 0);
          assert.equal(reader.unsigned(), nat);
          assert.equal(reader.string(MOST), word.toWellFormed());
          assert.equal(reader.optionalString(MOST), maybe?.toWellFormed());
          assert.equal(reader.uuid(), uuid);
          assert.equal(reader.unsignedHyper(), 7n);
          assert.equal(reader.left, 0);
        },
      ),
    );
  });

  test('takes bytes from outside to the end of them and no further', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 256 }), (bytes) => {
        const reader = new XdrReader(Buffer.from(bytes));
        try {
          decodeParams(reader);
        } catch (thrown) {
          assert.ok(thrown instanceof XdrError, String(thrown));
        }
        assert.ok(reader.left >= 0);
      }),
      { numRuns: 500 },
    );
  });

  test('takes no length beyond its bound, and makes no room for it', () => {
    const huge = new XdrWriter().unsigned(0xffffffff).bytes();
    assert.throws(() => new XdrReader(huge).string(16), XdrError);
    assert.throws(() => new XdrReader(huge).list(16, () => 1), XdrError);
    assert.throws(() => new XdrReader(huge).isThere(), XdrError);
    assert.throws(() => new XdrWriter().uuid('none'), XdrError);
  });

  test('carries parameters by their types', () => {
    const params = { text: 'a', number: -3, large: 2n ** 40n, yes: true };
    const body = new XdrWriter();
    encodeParams(body, params);
    const again = decodeParams(new XdrReader(body.bytes()));
    assert.deepEqual(again, { ...params, large: 2 ** 40 });
  });
});
