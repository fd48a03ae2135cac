import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { echoRequest, isEchoReply, socketAddress } from '../../../src/network/probe/echo.ts';

const COOKIE = Buffer.from('0011223344556677', 'hex');
const V4 = '10.9.0.21';
const V6 = 'fd09::21';

function replyTo(request: Buffer, type: number): Buffer {
  const reply = Buffer.from(request);
  reply[0] = type;
  return reply;
}

describe('an ICMP echo', () => {
  test('an ICMP echo has 16 bytes and a correct checksum', () => {
    const request = echoRequest(V4, COOKIE, 70_000);
    assert.equal(request.length, 16);
    let sum = 0;
    for (let at = 0; at < 16; at += 2) sum += request.readUInt16BE(at);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    assert.equal(sum, 0xffff);
  });

  test('an ICMP echo is recognized by its cookie, with and without the IPv4 header', () => {
    const reply = replyTo(echoRequest(V4, COOKIE, 1), 0);
    const header = Buffer.alloc(24);
    header[0] = 0x46;
    assert.equal(isEchoReply(V4, COOKIE, reply), true);
    assert.equal(isEchoReply(V4, COOKIE, Buffer.concat([header, reply])), true);
    assert.equal(isEchoReply(V6, COOKIE, replyTo(echoRequest(V6, COOKIE, 1), 129)), true);
    // Another's answer, our own question, and a word of a router about it.
    assert.equal(isEchoReply(V4, Buffer.alloc(8), reply), false);
    assert.equal(isEchoReply(V4, COOKIE, echoRequest(V4, COOKIE, 1)), false);
    assert.equal(isEchoReply(V4, COOKIE, replyTo(echoRequest(V4, COOKIE, 1), 3)), false);
  });

  test('the echo parser accepts any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(V4, V6), (bytes, address) => {
        assert.equal(typeof isEchoReply(address, COOKIE, Buffer.from(bytes)), 'boolean');
      }),
    );
  });

  test("an ICMP echo is sent to an address in the kernel's format", () => {
    assert.equal(socketAddress(V4).toString('hex'), '020000000a0900150000000000000000');
    const six = `0a00${'00'.repeat(6)}fd09${'00'.repeat(12)}0021${'00'.repeat(4)}`;
    assert.equal(socketAddress(V6).toString('hex'), six);
  });
});
