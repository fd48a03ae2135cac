import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  answerIn,
  isSingle,
  question,
  v6Bytes,
  v6Text,
} from '../../../src/network/segment/frames.ts';

const OWN = '02:00:00:00:00:01';
const GUEST = '52:54:00:00:00:02';

/** As a machine with `mac` answers for an address. */
function reply(mac: string, address: string): Buffer {
  const bytes = mac.split(':').map((each) => Number.parseInt(each, 16));
  if (address.includes(':')) {
    const frame = Buffer.alloc(86);
    frame.set([0x33, 0x33, 0, 0, 0, 1, ...bytes, 0x86, 0xdd, 0x60]);
    frame.set([58, 255], 20);
    frame[54] = 136;
    frame.set(v6Bytes(address), 62);
    frame.set([2, 1, ...bytes], 78);
    return frame;
  }
  const frame = Buffer.alloc(60);
  frame.set([...Array<number>(6).fill(0xff), ...bytes, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2, ...bytes]);
  frame.set(address.split('.').map(Number), 28);
  return frame;
}

describe('a question', () => {
  test('an IPv4 question is an ARP probe to all, or to one MAC, without a sender address', () => {
    const frame = question(OWN, '10.88.0.21');
    assert.equal(
      frame.toString('hex'),
      `ffffffffffff0200000000010806000108000604000102000000000100000000${'0'.repeat(12)}0a580015${'0'.repeat(36)}`,
    );
    assert.equal(question(OWN, '10.88.0.21', GUEST).subarray(0, 6).toString('hex'), '525400000002');
  });

  test('an IPv6 question is a solicitation for a possibly free address, with its checksum', () => {
    const frame = question(OWN, 'fd88::1:21');
    assert.equal(frame.subarray(0, 6).toString('hex'), '3333ff010021');
    assert.equal(v6Text(frame.subarray(22, 38)), '::');
    assert.equal(v6Text(frame.subarray(38, 54)), 'ff02::1:ff01:21');
    assert.equal(v6Text(frame.subarray(62, 78)), 'fd88::1:21');
    const pseudo = Buffer.concat([frame.subarray(22, 54), Buffer.from([0, 0, 0, 24, 0, 0, 0, 58])]);
    const all = Buffer.concat([pseudo, frame.subarray(54, 78)]);
    let sum = 0;
    for (let at = 0; at < all.length; at += 2) sum += all.readUInt16BE(at);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    assert.equal(sum, 0xffff);
  });
});

describe('an answer', () => {
  test('an ARP or ND answer gives the MAC behind an address', () => {
    for (const address of ['10.88.0.21', 'fd88::21']) {
      assert.deepEqual(answerIn(reply(GUEST, address)), { address, mac: GUEST });
    }
  });

  test('a mere question, or a truncated frame, is not an answer', () => {
    assert.equal(answerIn(question(OWN, '10.88.0.21')), undefined);
    assert.equal(answerIn(question(OWN, 'fd88::21')), undefined);
    assert.equal(answerIn(reply(GUEST, 'fd88::21').subarray(0, 77)), undefined);
    assert.equal(answerIn(reply(GUEST, '10.88.0.21').subarray(0, 41)), undefined);
  });

  test('the answer parser accepts any bytes', () => {
    const broken = fc
      .tuple(fc.constantFrom('10.88.0.21', 'fd88::21'), fc.nat(85), fc.nat(255), fc.nat(90))
      .map(([address, at, value, length]) => {
        const frame = reply(GUEST, address);
        frame[at % frame.length] = value;
        return frame.subarray(0, length);
      });
    const any = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(any, broken), (frame) => {
        const answer = answerIn(frame);
        if (answer === undefined) return;
        assert.match(answer.mac, /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
        assert.match(answer.address, /^[0-9a-f.:]+$/);
      }),
    );
  });
});

test('an IPv6 address is written as the kernel writes it', () => {
  const groups = fc.array(fc.constantFrom(0, 0, 0, 1, 0xff02, 0xabcd), {
    minLength: 8,
    maxLength: 8,
  });
  fc.assert(
    fc.property(groups, (all) => {
      const long = all.map((group) => group.toString(16)).join(':');
      const text = v6Text(v6Bytes(long));
      assert.deepEqual(v6Bytes(text), v6Bytes(long));
      assert.equal(text, new URL(`http://[${long}]/`).hostname.slice(1, -1));
    }),
  );
});

test('a guest has no group address, and none that stays within a host', () => {
  for (const no of ['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255', '::', '::1', 'ff02::1'])
    assert.equal(isSingle(no), false, no);
  for (const yes of ['10.88.0.21', 'fe80::1', 'fd88::21']) assert.equal(isSingle(yes), true, yes);
});
