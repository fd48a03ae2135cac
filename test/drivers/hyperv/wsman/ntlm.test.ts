import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  md4,
  accountOf,
  authenticate,
  negotiate,
  ntlmKey,
  parseChallenge,
} from '../../../../src/drivers/hyperv/wsman/ntlm.ts';
import { NtlmServer } from '../../../managers/hyperv/ntlm-server.ts';

describe('NTLM', () => {
  test('the digests match RFC 1320', () => {
    const digests: [string, string][] = [
      ['', '31d6cfe0d16ae931b73c59d7e0c089c0'],
      ['abc', 'a448017aaf21d8525fc10ae87aa6729d'],
      ['message digest', 'd9130a8164549fe818874806e1c7014b'],
      [
        '12345678901234567890123456789012345678901234567890123456789012345678901234567890',
        'e33b4ddc9c38f2199c3e7b164fcc0536',
      ],
    ];
    for (const [text, digest] of digests)
      assert.equal(md4(Buffer.from(text)).toString('hex'), digest);
  });

  // MS-NLMP 4.2.4: user User of Domain, password Password, server and client challenge, time 0.
  test('the key and the proof match the example of MS-NLMP', () => {
    const account = accountOf(String.raw`Domain\User`, 'Password');
    assert.equal(ntlmKey(account).toString('hex'), '0c868a403bfd7a93a3001ef22ef02e3f');
    const challenge = parseChallenge(printedChallenge());
    assert.ok(challenge);
    const moment = { clientChallenge: Buffer.alloc(8, 0xaa), wallMs: -11_644_473_600_000 };
    const last = authenticate(account, challenge, undefined, moment);
    const at = last.readUInt32LE(24);
    assert.equal(last.subarray(at, at + 16).toString('hex'), '68cd0ab851e51c96aabc927bebef6a1c');
    const older = last.readUInt32LE(16);
    assert.equal(
      last.subarray(older, older + 24).toString('hex'),
      '86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa',
    );
  });

  test('the proof is accepted only with the right password and certificate', () => {
    const certificate = Buffer.from('a certificate');
    const hash = createHash('sha256').update(certificate).digest();
    const accepted = (password: string, bound: Buffer | undefined): boolean => {
      const server = new NtlmServer();
      const challenge = parseChallenge(server.challenge(negotiate()));
      assert.ok(challenge);
      const moment = { clientChallenge: Buffer.alloc(8, 7), wallMs: 0 };
      const last = authenticate(accountOf('User', password), challenge, bound, moment);
      return server.accepts(last, 'User', certificate);
    };
    assert.equal(accepted('password', hash), false);
    assert.equal(accepted('Password', undefined), false);
    assert.equal(accepted('Password', Buffer.alloc(32)), false);
    assert.equal(accepted('Password', hash), true);
  });

  test('any bytes are read as a challenge or refused, without an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const begun = Buffer.concat([printedChallenge().subarray(0, 40), Buffer.from(bytes)]);
        for (const raw of [Buffer.from(bytes), begun]) {
          const found = parseChallenge(raw);
          assert.ok(found === undefined || found.serverChallenge.length === 8);
        }
      }),
    );
  });
});

function printedChallenge(): Buffer {
  const words = (text: string): Buffer => Buffer.from(text, 'utf16le');
  const pair = (id: number, value: Buffer): Buffer =>
    Buffer.concat([Buffer.from([id, 0, value.length, 0]), value]);
  const pairs = Buffer.concat([
    pair(2, words('Domain')),
    pair(1, words('Server')),
    pair(0, words('')),
  ]);
  const head = Buffer.alloc(48);
  head.write('NTLMSSP\0', 'latin1');
  head.writeUInt32LE(2, 8);
  head.write('0123456789abcdef', 24, 'hex');
  head.writeUInt16LE(pairs.length, 40);
  head.writeUInt16LE(pairs.length, 42);
  head.writeUInt32LE(48, 44);
  return Buffer.concat([head, pairs]);
}
