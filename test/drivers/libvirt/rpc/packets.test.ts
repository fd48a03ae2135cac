import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  decodeError,
  encodePacket,
  LONGEST_PACKET,
  PacketSplitter,
  REMOTE_PROGRAM,
  type Packet,
} from '../../../../src/drivers/libvirt/rpc/packets.ts';
import { XdrError, XdrWriter } from '../../../../src/formats/xdr.ts';

const packet: fc.Arbitrary<Packet> = fc.record(
  {
    program: fc.constant(REMOTE_PROGRAM),
    procedure: fc.nat({ max: 500 }),
    type: fc.nat({ max: 2 }),
    serial: fc.nat(),
    status: fc.nat({ max: 1 }),
    body: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  },
  { noNullPrototype: true },
);

describe('libvirt’s packets', () => {
  test('packets come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(packet, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (sent, cuts) => {
          const stream = Buffer.concat(sent.map(encodePacket));
          const splitter = new PacketSplitter();
          const got: Packet[] = [];
          for (let at = 0, turn = 0; at < stream.length; turn += 1) {
            const next = at + (cuts[turn % cuts.length] ?? 1);
            got.push(...splitter.push(stream.subarray(at, next)));
            at = next;
          }
          assert.deepEqual(got, sent);
        },
      ),
    );
  });

  test('packets of impossible lengths or another protocol are refused at once', () => {
    const head = (length: number, version = 1): Buffer =>
      Buffer.concat([
        new XdrWriter().uint32(length).uint32(REMOTE_PROGRAM).uint32(version).bytes(),
        Buffer.alloc(16),
      ]);
    for (const length of [0, 27, LONGEST_PACKET + 1, 0xffffffff]) {
      assert.throws(() => new PacketSplitter().push(head(length)), XdrError, `${length}`);
    }
    assert.throws(() => new PacketSplitter().push(head(28, 2)), XdrError);
  });

  test('any bytes are accepted or refused, without an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          for (const { body } of new PacketSplitter().push(Buffer.from(bytes))) decodeError(body);
        } catch (thrown) {
          assert.ok(thrown instanceof XdrError, String(thrown));
        }
      }),
      { numRuns: 500 },
    );
  });

  test("packets of an error hold its code and libvirt's message", () => {
    const body = new XdrWriter().int32(55).int32(10).optionalString('no').int32(2).bytes();
    assert.deepEqual(decodeError(body), { code: 55, domain: 10, message: 'no' });
    const silent = new XdrWriter().int32(1).int32(0).optionalString(undefined).bytes();
    assert.equal(decodeError(silent).message, 'it does not say why');
  });
});
