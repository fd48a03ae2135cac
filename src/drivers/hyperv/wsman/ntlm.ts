import { createHash, createHmac, randomBytes } from 'node:crypto';

/**
 * NTLMv2 client (MS-NLMP): three messages prove that both sides have the password, bound to the server's
 * certificate. It signs and encrypts nothing; TLS does. Pure except for its random numbers.
 */

const SIGNATURE = Buffer.from('NTLMSSP\0', 'latin1');
const FLAG = {
  unicode: 0x1,
  requestTarget: 0x4,
  ntlm: 0x200,
  alwaysSign: 0x8000,
  extendedSecurity: 0x80000,
  targetInfo: 0x800000,
  version: 0x2000000,
  bits128: 0x20000000,
  bits56: 0x80000000,
} as const;
const ASKED = Object.values(FLAG).reduce((all, flag) => (all | flag) >>> 0, 0);
/** Offset of the payload in the last message, after version and integrity code. */
const PARTS_AT = 88;
const MIC_AT = 72;
const MIC_BYTES = 16;
/** MsvAv ids of the target information. */
const AV = { end: 0, flags: 6, timestamp: 7, channelBindings: 10 } as const;
const HAS_MIC = 2;
const MAX_CHALLENGE = 16_384;
/** ms from 1601 to 1970; NTLM counts from 1601 in units of 100 ns. */
const EPOCH_MS = 11_644_473_600_000;

export interface NtlmAccount {
  readonly user: string;
  readonly domain: string;
  readonly password: string;
}

/** Random and time inputs of a handshake; tests supply fixed ones. */
export interface NtlmMoment {
  readonly clientChallenge: Buffer;
  readonly wallMs: number;
}

/** `DOMAIN\user`, `user@domain` or a local name. */
export function accountOf(user: string, password: string): NtlmAccount {
  const at = user.indexOf('\\');
  if (at === -1) return { user, domain: '', password };
  return { user: user.slice(at + 1), domain: user.slice(0, at), password };
}

export function freshMoment(wallMs: number): NtlmMoment {
  return { clientChallenge: randomBytes(8), wallMs };
}

/** First message: this side's capabilities. */
export function negotiate(): Buffer {
  const message = Buffer.alloc(40);
  SIGNATURE.copy(message);
  message.writeUInt32LE(1, 8);
  message.writeUInt32LE(ASKED, 12);
  writeVersion(message, 32);
  return message;
}

export interface Challenge {
  readonly flags: number;
  readonly serverChallenge: Buffer;
  readonly pairs: readonly AvPair[];
  readonly raw: Buffer;
}

export interface AvPair {
  readonly id: number;
  readonly value: Buffer;
}

/** Server's message; undefined if it is invalid. */
export function parseChallenge(raw: Buffer): Challenge | undefined {
  if (raw.length < 48 || raw.length > MAX_CHALLENGE) return undefined;
  if (!raw.subarray(0, 8).equals(SIGNATURE) || raw.readUInt32LE(8) !== 2) return undefined;
  const length = raw.readUInt16LE(40);
  const at = raw.readUInt32LE(44);
  if (at + length > raw.length) return undefined;
  const pairs = parsePairs(raw.subarray(at, at + length));
  if (pairs === undefined) return undefined;
  const serverChallenge = Buffer.from(raw.subarray(24, 32));
  return { flags: raw.readUInt32LE(20), serverChallenge, pairs, raw };
}

function parsePairs(bytes: Buffer): AvPair[] | undefined {
  const pairs: AvPair[] = [];
  for (let at = 0; at < bytes.length;) {
    if (at + 4 > bytes.length) return undefined;
    const [id, length] = [bytes.readUInt16LE(at), bytes.readUInt16LE(at + 2)];
    if (id === AV.end) return pairs;
    if (at + 4 + length > bytes.length) return undefined;
    pairs.push({ id, value: Buffer.from(bytes.subarray(at + 4, at + 4 + length)) });
    at += 4 + length;
  }
  return pairs;
}

/** Last message: the proof. `certificateHash`: by RFC 5929 (tls-server-end-point). */
export function authenticate(
  account: NtlmAccount,
  challenge: Challenge,
  certificateHash: Buffer | undefined,
  { clientChallenge, wallMs }: NtlmMoment,
): Buffer {
  const stamp = challenge.pairs.find(({ id }) => id === AV.timestamp)?.value;
  const pairs = answeredPairs(challenge.pairs, certificateHash, stamp !== undefined);
  const time = stamp?.length === 8 ? stamp : fileTime(wallMs);
  const key = ntlmKey(account);
  const head = Buffer.from([1, 1, 0, 0, 0, 0, 0, 0]);
  const temp = Buffer.concat([
    head,
    time,
    clientChallenge,
    Buffer.alloc(4),
    pairs,
    Buffer.alloc(4),
  ]);
  const proof = hmac(key, challenge.serverChallenge, temp);
  const older = Buffer.concat([
    hmac(key, challenge.serverChallenge, clientChallenge),
    clientChallenge,
  ]);
  const message = lastMessage([
    stamp === undefined ? older : Buffer.alloc(24),
    Buffer.concat([proof, temp]),
    utf16(account.domain),
    utf16(account.user),
    Buffer.alloc(0),
    Buffer.alloc(0),
  ]);
  if (stamp !== undefined) {
    hmac(hmac(key, proof), negotiate(), challenge.raw, message).copy(message, MIC_AT);
  }
  return message;
}

/** Key derived from the password; it never leaves this side. */
export function ntlmKey({ user, domain, password }: NtlmAccount): Buffer {
  return hmac(md4(utf16(password)), utf16(user.toUpperCase() + domain));
}

/** Server's pairs; a server that sends the time requires the integrity code, and may require the certificate. */
function answeredPairs(
  pairs: readonly AvPair[],
  certificateHash: Buffer | undefined,
  hasMic: boolean,
): Buffer {
  const kept = pairs.filter(({ id }) => id !== AV.flags && id !== AV.channelBindings);
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(HAS_MIC);
  const added = hasMic ? [{ id: AV.flags, value: flags }] : [];
  const bound =
    certificateHash === undefined || !hasMic
      ? []
      : [{ id: AV.channelBindings, value: channelBinding(certificateHash) }];
  const all = [...kept, ...added, ...bound, { id: AV.end, value: Buffer.alloc(0) }];
  return Buffer.concat(
    all.map(({ id, value }) => {
      const head = Buffer.alloc(4);
      head.writeUInt16LE(id);
      head.writeUInt16LE(value.length, 2);
      return Buffer.concat([head, value]);
    }),
  );
}

/** MD5 of a gss_channel_bindings_struct with only application data. */
function channelBinding(certificateHash: Buffer): Buffer {
  const data = Buffer.concat([Buffer.from('tls-server-end-point:', 'latin1'), certificateHash]);
  const head = Buffer.alloc(20);
  head.writeUInt32LE(data.length, 16);
  return createHash('md5').update(head).update(data).digest();
}

function lastMessage(parts: readonly Buffer[]): Buffer {
  const message = Buffer.concat([Buffer.alloc(PARTS_AT), ...parts]);
  SIGNATURE.copy(message);
  message.writeUInt32LE(3, 8);
  let at = PARTS_AT;
  for (const [index, { length }] of parts.entries()) {
    const field = 12 + index * 8;
    message.writeUInt16LE(length, field);
    message.writeUInt16LE(length, field + 2);
    message.writeUInt32LE(at, field + 4);
    at += length;
  }
  message.writeUInt32LE(ASKED, 60);
  writeVersion(message, 64);
  message.fill(0, MIC_AT, MIC_AT + MIC_BYTES);
  return message;
}

/** Only the protocol revision matters: NTLMSSP_REVISION_W2K3. */
function writeVersion(message: Buffer, at: number): void {
  message.fill(0, at, at + 8);
  message.writeUInt8(10, at);
  message.writeUInt8(15, at + 7);
}

function fileTime(wallMs: number): Buffer {
  const time = Buffer.alloc(8);
  time.writeBigUInt64LE(BigInt(Math.trunc(wallMs) + EPOCH_MS) * 10_000n);
  return time;
}

function hmac(key: Buffer, ...parts: readonly Buffer[]): Buffer {
  const made = createHmac('md5', key);
  for (const part of parts) made.update(part);
  return made.digest();
}

function utf16(text: string): Buffer {
  return Buffer.from(text, 'utf16le');
}

/** MD4 (RFC 1320) for NTLM's key; OpenSSL 3 no longer includes it. Pure. */

const SHIFTS = [
  [3, 7, 11, 19],
  [3, 5, 9, 13],
  [3, 9, 11, 15],
] as const;
const ORDERS = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
  [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
] as const;
const ADDED = [0, 0x5a827999, 0x6ed9eba1] as const;
const MIXES: readonly ((x: number, y: number, z: number) => number)[] = [
  (x, y, z) => (x & y) | (~x & z),
  (x, y, z) => (x & y) | (x & z) | (y & z),
  (x, y, z) => x ^ y ^ z,
];

export function md4(message: Buffer): Buffer {
  const blocks = padded(message);
  const state: [number, number, number, number] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let at = 0; at < blocks.length; at += 64) addBlock(state, blocks, at);
  const digest = Buffer.alloc(16);
  for (const [index, word] of state.entries()) digest.writeUInt32LE(word >>> 0, index * 4);
  return digest;
}

function padded(message: Buffer): Buffer {
  const blocks = Buffer.alloc(Math.ceil((message.length + 9) / 64) * 64);
  message.copy(blocks);
  blocks[message.length] = 0x80;
  blocks.writeBigUInt64LE(BigInt(message.length) * 8n, blocks.length - 8);
  return blocks;
}

function addBlock(state: [number, number, number, number], blocks: Buffer, at: number): void {
  let [a, b, c, d] = state;
  for (const [round, mix] of MIXES.entries()) {
    for (const [step, index] of (ORDERS[round] ?? []).entries()) {
      const word = blocks.readUInt32LE(at + index * 4);
      const sum = (a + mix(b, c, d) + word + (ADDED[round] ?? 0)) | 0;
      const shift = SHIFTS[round]?.[step % 4] ?? 0;
      [a, b, c, d] = [d, (sum << shift) | (sum >>> (32 - shift)), b, c];
    }
  }
  const sums = [a, b, c, d] as const;
  for (const [index, sum] of sums.entries()) state[index] = ((state[index] ?? 0) + sum) | 0;
}
