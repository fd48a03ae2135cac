/** NBD messages of a client: fixed newstyle, structured replies. Pure. */

export const GREETING_BYTES = 18;
const MAGIC = 'NBDMAGICIHAVEOPT';
const OPTION_MAGIC = Buffer.from('IHAVEOPT', 'latin1');
const REPLY_MAGIC = 0x0003_e889_0455_65a9n;
const REQUEST_MAGIC = 0x2560_9513;
const STRUCTURED_MAGIC = 0x668e_33ef;

export const OPTIONS = { go: 7, structured: 8, setMeta: 10 } as const;
export const COMMANDS = { read: 0, disconnect: 2, blockStatus: 7 } as const;
export const REPLIES = { ack: 1, info: 3, metaContext: 4 } as const;
const CHUNKS = { none: 0, data: 1, hole: 2, blockStatus: 5 } as const;

export const OPTION_REPLY_BYTES = 20;
export const REPLY_BYTES = 20;

/** Not an NBD answer, or for another question. */
export class BadNbd extends Error {
  override readonly name = 'BadNbd';
}

export function answerGreeting(greeting: Buffer): Buffer {
  if (greeting.toString('latin1', 0, 16) !== MAGIC) throw new BadNbd('it greets otherwise');
  const flags = greeting.readUInt16BE(16);
  if ((flags & 1) === 0) throw new BadNbd('it is of the old style');
  const answer = Buffer.alloc(4);
  answer.writeUInt32BE(flags & 3);
  return answer;
}

export function writeOption(option: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(16);
  OPTION_MAGIC.copy(head);
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(data.length, 12);
  return Buffer.concat([head, data]);
}

/** Ends the negotiation with this export, without further requests. */
export function goData(name: string): Buffer {
  return Buffer.concat([text(name), Buffer.alloc(2)]);
}

export function metaData(name: string, query: string): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32BE(1);
  return Buffer.concat([text(name), count, text(query)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

export interface OptionReply {
  readonly option: number;
  readonly type: number;
  readonly length: number;
}

export function readOptionReply(head: Buffer): OptionReply {
  if (head.readBigUInt64BE(0) !== REPLY_MAGIC) throw new BadNbd('its answer is none to an option');
  return {
    option: head.readUInt32BE(8),
    type: head.readUInt32BE(12),
    length: head.readUInt32BE(16),
  };
}

export function isRefusal({ type }: OptionReply): boolean {
  return type >= 0x8000_0000;
}

export function writeRequest(
  command: number,
  cookie: bigint,
  from: number,
  length: number,
): Buffer {
  const request = Buffer.alloc(28);
  request.writeUInt32BE(REQUEST_MAGIC, 0);
  request.writeUInt16BE(command, 6);
  request.writeBigUInt64BE(cookie, 8);
  request.writeBigUInt64BE(BigInt(from), 16);
  request.writeUInt32BE(length, 24);
  return request;
}

export interface ReplyHead {
  readonly isLast: boolean;
  readonly type: number;
  readonly cookie: bigint;
  readonly length: number;
}

export function readReply(head: Buffer): ReplyHead {
  if (head.readUInt32BE(0) !== STRUCTURED_MAGIC) throw new BadNbd('its reply is not structured');
  return {
    isLast: (head.readUInt16BE(4) & 1) !== 0,
    type: head.readUInt16BE(6),
    cookie: head.readBigUInt64BE(8),
    length: head.readUInt32BE(16),
  };
}

export type Part =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'data'; readonly from: number; readonly bytes: Buffer }
  | { readonly kind: 'hole'; readonly from: number; readonly length: number }
  | { readonly kind: 'status'; readonly extents: readonly Extent[] };

/** Allocation map of a server, and the flag for zero ranges. */
export const ALLOCATION = 'base:allocation';
export const READS_ZERO = 2;

export interface Extent {
  readonly length: number;
  readonly flags: number;
}

export function readPart({ type }: ReplyHead, payload: Buffer): Part {
  switch (type) {
    case CHUNKS.none:
      return { kind: 'nothing' };
    case CHUNKS.data:
      return { kind: 'data', from: offset(payload, 8), bytes: payload.subarray(8) };
    case CHUNKS.hole: {
      const from = offset(payload, 12);
      return { kind: 'hole', from, length: payload.readUInt32BE(8) };
    }
    case CHUNKS.blockStatus: {
      const extents: Extent[] = [];
      for (let at = 4; at + 8 <= payload.length; at += 8) {
        extents.push({ length: payload.readUInt32BE(at), flags: payload.readUInt32BE(at + 4) });
      }
      return { kind: 'status', extents };
    }
    default:
      throw new BadNbd(`it answers with an error (${errorOf(payload)})`);
  }
}

function offset(payload: Buffer, least: number): number {
  if (payload.length < least) throw new BadNbd('a part of its reply is too short');
  return Number(payload.readBigUInt64BE(0));
}

function errorOf(payload: Buffer): string {
  if (payload.length < 6) return 'without a reason';
  const length = Math.min(payload.readUInt16BE(4), 512);
  return `${payload.readUInt32BE(0)} ${payload.toString('utf8', 6, 6 + length)}`.trim();
}
