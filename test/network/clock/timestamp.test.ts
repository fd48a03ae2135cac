import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  aheadBy,
  TIMESTAMP_BYTES,
  timestampReply,
  timestampRequest,
} from '../../../src/network/clock/timestamp.ts';

const DAY_MS = 86_400_000;
const ID = 0xbeef;

/** As a kernel answers: its clock in both of its own fields. */
function reply(id: number, sequence: number, ms: number, windows = false): Buffer {
  const packet = timestampRequest(id, sequence);
  packet[0] = 14;
  if (windows) packet.writeUInt32LE(ms, 16);
  else packet.writeUInt32BE(ms, 16);
  return packet;
}
const header = Buffer.alloc(24, 0);
header[0] = 0x46;

describe('an ICMP timestamp', () => {
  test('an ICMP timestamp request has 20 bytes and a correct checksum', () => {
    const request = timestampRequest(ID, 70_001);
    assert.equal(request.length, TIMESTAMP_BYTES);
    let sum = 0;
    for (let at = 0; at < request.length; at += 2) sum += request.readUInt16BE(at);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    assert.equal(sum, 0xffff);
  });

  test("an ICMP timestamp gives the clock's offset, even around midnight, in either byte order", () => {
    const wall = fc.integer({ min: 0, max: 4_000_000_000_000 });
    const off = fc.integer({ min: -1_000_000, max: 1_000_000 });
    fc.assert(
      fc.property(wall, off, fc.boolean(), (wallMs, aheadMs, windows) => {
        const ms = (((wallMs + aheadMs) % DAY_MS) + DAY_MS) % DAY_MS;
        const answer = timestampReply(ID, Buffer.concat([header, reply(ID, 7, ms, windows)]));
        assert.ok(answer !== undefined);
        assert.equal(answer.sequence, 7);
        // Of both orders the nearer counts, which is never further off than the right one.
        assert.ok(Math.abs(aheadBy(answer, wallMs)) <= Math.abs(aheadMs));
        if (!windows && answer.readings.length === 1)
          assert.equal(aheadBy(answer, wallMs), aheadMs);
      }),
    );
  });

  test('an ICMP timestamp for another request, or of a clock that is not UTC, is not an answer', () => {
    assert.equal(timestampReply(ID, reply(ID + 1, 1, 5)), undefined);
    assert.equal(timestampReply(ID, timestampRequest(ID, 1)), undefined);
    // The highest bit says that it is no time of day (RFC 792).
    assert.equal(timestampReply(ID, reply(ID, 1, 0x8800_0088)), undefined);
  });

  test('the timestamp parser accepts any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const answer = timestampReply(ID, Buffer.from(bytes));
        assert.ok(answer === undefined || answer.readings.every((ms) => ms < DAY_MS));
      }),
    );
  });
});
