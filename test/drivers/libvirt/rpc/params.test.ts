import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { XdrError, XdrReader, XdrWriter } from '../../../../src/formats/xdr.ts';
import { decodeParams, encodeParams } from '../../../../src/drivers/libvirt/rpc/params.ts';

describe('libvirt’s typed parameters', () => {
  test('any parameters are read to the end of the bytes and no further', () => {
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

  test('parameters come back with their types', () => {
    const params = { text: 'a', number: -3, large: 2n ** 40n, yes: true };
    const body = new XdrWriter();
    encodeParams(body, params);
    const again = decodeParams(new XdrReader(body.bytes()));
    assert.deepEqual(again, { ...params, large: 2 ** 40 });
  });
});
