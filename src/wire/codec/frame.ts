import { BadFrame } from './bytes.ts';
import { PAGE_BYTES } from './item.ts';
import { mostBody, type CodecSettings } from './settings.ts';

const CODEC_VERSION = 2;

const MAGIC = 0x4757;
export const HEAD_BYTES = 36;

const FRAME_TYPES = {
  /** Encoder to decoder: items. `extra` is the running hash. */
  batch: 1,
  /** Encoder to decoder: a requested content. `extra` is its number. */
  content: 2,
  /** Decoder to encoder: missing contents, u64 each. */
  missing: 3,
  /** Decoder to encoder: all batches up to the one with last number `extra` were decoded. */
  decoded: 4,
} as const;
export type FrameType = keyof typeof FRAME_TYPES;
const TYPE_NAMES = ['', ...Object.keys(FRAME_TYPES)] as ('' | FrameType)[];

export const METHODS = {
  none: 0,
  /** zstd, independent batch. */
  zstd: 1,
  /** zstd, one context over all batches of a chain: this one starts it. */
  chainStart: 2,
  chain: 3,
} as const;
export type Method = keyof typeof METHODS;
const METHOD_NAMES = Object.keys(METHODS) as Method[];

/**
 * Layout: u16 magic, u8 version, u8 type, u8 method, u8 and u16 zero, u32 payload length, u32 decompressed
 * length, u32 items, u64 frame number in its direction, u64 extra; then the payload.
 */
export interface Frame {
  readonly type: FrameType;
  readonly method: Method;
  readonly plainBytes: number;
  readonly items: number;
  readonly number: number;
  readonly extra: bigint;
  readonly payload: Buffer;
}

export function writeFrame({ payload, ...head }: Frame): Buffer {
  return writePieces(head, [payload]);
}

/** Frame from a payload in pieces. The buffer owns all its memory, so a thread can transfer it. */
export function writePieces(frame: Omit<Frame, 'payload'>, pieces: readonly Uint8Array[]): Buffer {
  const payloadBytes = pieces.reduce((sum, { length }) => sum + length, 0);
  const out = Buffer.allocUnsafeSlow(HEAD_BYTES + payloadBytes);
  out.writeUInt16BE(MAGIC, 0);
  out[2] = CODEC_VERSION;
  out[3] = FRAME_TYPES[frame.type];
  out.writeUInt32BE(METHODS[frame.method] * 2 ** 24, 4);
  out.writeUInt32BE(payloadBytes, 8);
  out.writeUInt32BE(frame.plainBytes, 12);
  out.writeUInt32BE(frame.items, 16);
  out.writeBigUInt64BE(BigInt(frame.number), 20);
  out.writeBigUInt64BE(frame.extra, 28);
  let at = HEAD_BYTES;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

export function missingFrame(number: number, contents: readonly number[]): Frame {
  const payload = Buffer.alloc(contents.length * 8);
  for (const [at, content] of contents.entries()) payload.writeBigUInt64BE(BigInt(content), at * 8);
  return control('missing', number, contents.length, payload);
}

export function decodedFrame(number: number, lastNumber: number): Frame {
  return { ...control('decoded', number, 0, Buffer.alloc(0)), extra: BigInt(lastNumber) };
}

/** The payload is the page's memory, not a copy. */
export function contentFrame(number: number, content: number, page: Uint8Array): Frame {
  const payload = Buffer.from(page.buffer, page.byteOffset, page.byteLength);
  return { ...control('content', number, 1, payload), extra: BigInt(content) };
}

function control(type: FrameType, number: number, items: number, payload: Buffer): Frame {
  const plainBytes = payload.length;
  return { type, method: 'none', plainBytes, items, number, extra: 0n, payload };
}

export function missingOf(frame: Frame): number[] {
  return Array.from({ length: frame.items }, (_, at) =>
    Number(frame.payload.readBigUInt64BE(at * 8)),
  );
}

/** Splits a stream into frames; holds at most one frame, whose length is checked before its bytes are stored. */
export class FrameReader {
  readonly #settings: CodecSettings;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #payload: Buffer | undefined;
  /** Filled bytes of the head, or of the payload if there is one. */
  #filled = 0;
  #number = 0;

  constructor(settings: CodecSettings) {
    this.#settings = settings;
  }

  /** Returns the frames completed by these bytes as copies, each on demand. Throws BadFrame. */
  *read(bytes: Uint8Array): Generator<Frame, void, undefined> {
    let at = 0;
    while (at < bytes.length) {
      const target = this.#payload ?? this.#head;
      const piece = bytes.subarray(at, at + target.length - this.#filled);
      target.set(piece, this.#filled);
      at += piece.length;
      this.#filled += piece.length;
      if (this.#filled < target.length) return;
      this.#filled = 0;
      if (this.#payload === undefined) this.#payload = Buffer.allocUnsafe(this.#checkHead());
      if (this.#payload === target || this.#payload.length === 0) {
        const frame = this.#frame(this.#payload);
        this.#payload = undefined;
        yield frame;
      }
    }
  }

  #checkHead(): number {
    const head = this.#head;
    const bad = (what: string): never => {
      throw new BadFrame(what, this.#number);
    };
    if (head.readUInt16BE(0) !== MAGIC) bad('it does not start as a frame does');
    if (head[2] !== CODEC_VERSION) bad(`its version is ${head[2] ?? 0}, not ${CODEC_VERSION}`);
    const type = TYPE_NAMES[head[3] ?? 0];
    const method = METHOD_NAMES[head[4] ?? 0];
    if (!type || method === undefined || head[5] !== 0 || head.readUInt16BE(6) !== 0) {
      return bad('its type or method is unknown');
    }
    const length = head.readUInt32BE(8);
    const plain = head.readUInt32BE(12);
    const items = head.readUInt32BE(16);
    const { batchItems } = this.#settings;
    const most = mostBody(this.#settings);
    if (plain > most || items > batchItems) bad(`${plain} bytes, ${items} items: above the limit`);
    if (method === 'none' ? length !== plain : length > most + 1024) {
      bad(`a payload of ${length} bytes for ${plain}`);
    }
    if (type !== 'batch' && method !== 'none') bad('only batches are compressed');
    if (type === 'batch' && items === 0) bad('a batch without items');
    const wanted = { batch: plain, content: PAGE_BYTES, missing: items * 8, decoded: 0 }[type];
    if (plain !== wanted) bad(`${plain} bytes, not ${wanted}`);
    if (head.readBigUInt64BE(20) !== BigInt(this.#number)) {
      bad(`it says that it is frame ${head.readBigUInt64BE(20)}`);
    }
    return length;
  }

  #frame(payload: Buffer): Frame {
    const head = this.#head;
    const frame: Frame = {
      type: TYPE_NAMES[head[3] ?? 0] as FrameType,
      method: METHOD_NAMES[head[4] ?? 0] ?? 'none',
      plainBytes: head.readUInt32BE(12),
      items: head.readUInt32BE(16),
      number: this.#number,
      extra: head.readBigUInt64BE(28),
      payload,
    };
    this.#number += 1;
    return frame;
  }
}
