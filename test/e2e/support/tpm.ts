/** TPM 2.0, spoken to by a guest: a register is extended and read, and so is what it keeps for good. */
import assert from 'node:assert/strict';
import { tpmCommand } from '../../../lab/guest/talk.ts';
import type { Lab } from '../../../lab/state.ts';

/** As the specification calls them (TPM 2.0 part 2). */
const NO_SESSIONS = 0x8001;
const SESSIONS = 0x8002;
const PCR_EXTEND = 0x182;
const PCR_READ = 0x17e;
const NV_DEFINE = 0x12a;
const NV_WRITE = 0x137;
const NV_READ = 0x14e;
const SHA256 = 0x000b;
const OWNER = 0x4000_0001;
/** An empty password: handle, nonce, attributes and password. */
const PASSWORD = hex('00000009', '40000009', '0000', '00', '0000');
/** One that a guest may extend and nobody else does. */
const PCR = 16;
const INDEX = 0x0180_0001;
/** The owner, and who knows the empty password, may read and write it. */
const OPEN = 0x0206_0006;
const HEADER_BYTES = 10;
const DIGEST_BYTES = 32;

function hex(...parts: readonly string[]): Buffer {
  return Buffer.from(parts.join(''), 'hex');
}

function u16(value: number): Buffer {
  return hex(value.toString(16).padStart(4, '0'));
}

function u32(value: number): Buffer {
  return hex(value.toString(16).padStart(8, '0'));
}

async function command(
  lab: Lab,
  guest: string,
  code: number,
  ...parts: readonly Buffer[]
): Promise<Buffer> {
  const body = Buffer.concat(parts);
  const tag = code === PCR_READ ? NO_SESSIONS : SESSIONS;
  const head = Buffer.concat([u16(tag), u32(HEADER_BYTES + body.length), u32(code)]);
  const answer = await tpmCommand(lab, guest, Buffer.concat([head, body]));
  assert.ok(answer.length >= HEADER_BYTES, `an answer of ${answer.length} bytes`);
  assert.equal(answer.readUInt32BE(6), 0, `command ${code.toString(16)} fails`);
  return answer;
}

/** Extends the register by a value; which it holds afterwards, no other sequence of values gives. */
export async function extendPcr(lab: Lab, guest: string, value: number): Promise<void> {
  const digest = Buffer.alloc(DIGEST_BYTES, value);
  await command(lab, guest, PCR_EXTEND, u32(PCR), PASSWORD, u32(1), u16(SHA256), digest);
}

/** What the register holds, in hexadecimal. */
export async function readPcr(lab: Lab, guest: string): Promise<string> {
  const select = hex('03', '000001');
  const answer = await command(lab, guest, PCR_READ, u32(1), u16(SHA256), select);
  return answer.subarray(-DIGEST_BYTES).toString('hex');
}

/** Keeps a text of 8 bytes in the TPM for good. */
export async function writeNv(lab: Lab, guest: string, text: string): Promise<void> {
  assert.equal(text.length, 8);
  const known = Buffer.concat([u32(INDEX), u16(SHA256), u32(OPEN), u16(0), u16(text.length)]);
  const area = [u16(0), u16(known.length), known];
  await command(lab, guest, NV_DEFINE, u32(OWNER), PASSWORD, ...area).catch(() => undefined);
  const data = [u16(text.length), Buffer.from(text), u16(0)];
  await command(lab, guest, NV_WRITE, u32(OWNER), u32(INDEX), PASSWORD, ...data);
}

/** That text. */
export async function readNv(lab: Lab, guest: string): Promise<string> {
  const what = [u16(8), u16(0)];
  const answer = await command(lab, guest, NV_READ, u32(OWNER), u32(INDEX), PASSWORD, ...what);
  // Its header, the size of its parameters, the size of the data.
  return answer.subarray(HEADER_BYTES + 6, HEADER_BYTES + 14).toString();
}
