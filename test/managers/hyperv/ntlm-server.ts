/**
 * NTLM as a server speaks it, written from MS-NLMP: the challenge (2.2.1.2), and the proof of NTLMv2 (3.3.2) with the
 * integrity code of the last message (3.1.5.1.2). It knows a user by the hash of the password (NTOWFv1), never the password.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';

/** NTOWFv1 of "Password", as MS-NLMP prints it in 4.2.2.1.1. */
export const HASH_OF_PASSWORD = Buffer.from('a4f49c406510bdcab6824ee7c30fd852', 'hex');

/** NEGOTIATE_UNICODE, NTLM, TARGET_INFO, EXTENDED_SESSIONSECURITY, ALWAYS_SIGN (2.2.2.5). */
const FLAGS = 0x1 | 0x200 | 0x8000 | 0x80000 | 0x800000;

export class NtlmServer {
  readonly #challenge = randomBytes(8);
  #messages: Buffer[] = [];

  /** The second message, for a first one. */
  challenge(first: Buffer): Buffer {
    const pairs = targetInfo();
    const message = Buffer.alloc(56);
    message.write('NTLMSSP\0', 'latin1');
    message.writeUInt32LE(2, 8);
    message.writeUInt32LE(56, 16);
    message.writeUInt32LE(FLAGS >>> 0, 20);
    this.#challenge.copy(message, 24);
    message.writeUInt16LE(pairs.length, 40);
    message.writeUInt16LE(pairs.length, 42);
    message.writeUInt32LE(56, 44);
    const whole = Buffer.concat([message, pairs]);
    this.#messages = [first, whole];
    return whole;
  }

  /** Whether the last message proves the password, is whole, and is bound to this certificate. */
  accepts(last: Buffer, user: string, certificate: Buffer): boolean {
    if (last.readUInt32LE(8) !== 3) return false;
    const field = (at: number): Buffer => {
      const [length, from] = [last.readUInt16LE(at), last.readUInt32LE(at + 4)];
      return last.subarray(from, from + length);
    };
    const [response, domain, name] = [field(20), field(28), field(36)];
    if (name.toString('utf16le') !== user) return false;
    const owner = Buffer.from(name.toString('utf16le').toUpperCase(), 'utf16le');
    const key = mac(HASH_OF_PASSWORD, owner, domain);
    const [proof, temp] = [response.subarray(0, 16), response.subarray(16)];
    if (!mac(key, this.#challenge, temp).equals(proof)) return false;
    const session = mac(key, proof);
    const code = Buffer.from(last.subarray(72, 88));
    const zeroed = Buffer.from(last);
    zeroed.fill(0, 72, 88);
    if (!mac(session, ...this.#messages, zeroed).equals(code)) return false;
    return bindingIn(temp)?.equals(bindingOf(certificate)) ?? false;
  }
}

/** MsvAvNbDomainName, MsvAvNbComputerName, MsvAvTimestamp, MsvAvEOL (2.2.2.1). */
function targetInfo(): Buffer {
  const time = Buffer.alloc(8);
  time.writeBigUInt64LE((BigInt(Date.now()) + 11_644_473_600_000n) * 10_000n);
  const pairs: [number, Buffer][] = [
    [2, Buffer.from('DOMAIN', 'utf16le')],
    [1, Buffer.from('HV', 'utf16le')],
    [7, time],
    [0, Buffer.alloc(0)],
  ];
  return Buffer.concat(
    pairs.map(([id, value]) => {
      const head = Buffer.alloc(4);
      head.writeUInt16LE(id, 0);
      head.writeUInt16LE(value.length, 2);
      return Buffer.concat([head, value]);
    }),
  );
}

/** MsvAvChannelBindings of a client challenge (2.2.2.7: its pairs begin after 28 bytes). */
function bindingIn(temp: Buffer): Buffer | undefined {
  for (let at = 28; at + 4 <= temp.length;) {
    const [id, length] = [temp.readUInt16LE(at), temp.readUInt16LE(at + 2)];
    if (id === 0) return undefined;
    if (id === 10) return temp.subarray(at + 4, at + 4 + length);
    at += 4 + length;
  }
  return undefined;
}

/** The MD5 of RFC 2744's channel bindings with the data of RFC 5929. */
function bindingOf(certificate: Buffer): Buffer {
  const hash = createHash('sha256').update(certificate).digest();
  const data = Buffer.concat([Buffer.from('tls-server-end-point:'), hash]);
  const head = Buffer.alloc(20);
  head.writeUInt32LE(data.length, 16);
  return createHash('md5')
    .update(Buffer.concat([head, data]))
    .digest();
}

function mac(key: Buffer, ...parts: Buffer[]): Buffer {
  return createHmac('md5', key).update(Buffer.concat(parts)).digest();
}
