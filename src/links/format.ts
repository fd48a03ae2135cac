/**
 * Frames of a session. Head: u16 magic `474c`, u8 type, u8 channel, u32 payload length, u64 number; integers are
 * big-endian. src/links/README.md describes each type's payload.
 */
export const LINK_VERSION = 1;
export const MAGIC = 0x474c;
export const HEAD_BYTES = 16;
/** Frame with its head: an urgent frame waits for at most one of these at the sender. */
const MAX_FRAME_BYTES = 64 * 1024;
export const MAX_DATA_BYTES = MAX_FRAME_BYTES - HEAD_BYTES;
/** A message is split into frames and joined at the other end before delivery. */
export const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;
/** Cost of a frame besides its payload in windows and limits, so that the number of small frames is limited. */
export const FRAME_COST_BYTES = 256;
const MAX_CONTROL_BYTES = 32 * 1024;

export const TYPES = {
  /** Connecting side: the session, and the frames received in it. */
  hello: 1,
  /** Accepting answer: the same from the other side. */
  welcome: 2,
  refuse: 3,
  /** Message, or its last piece. `number` counts the pieces of its channel. */
  data: 4,
  /** Piece other than its message's last. */
  piece: 5,
  /** `number`: data frames received on this connection. Payload: taken frames by channel. */
  ack: 6,
  /** `number` is returned in a pong. */
  ping: 7,
  pong: 8,
  /** Everything sent is taken, and no more follows. */
  goodbye: 9,
  /** The session ends for the reason in the payload. */
  abort: 10,
} as const;
export type FrameType = keyof typeof TYPES;

const NAMES = ['', ...Object.keys(TYPES)] as ('' | FrameType)[];

/** Payload limit by type, which limits the memory of an incomplete frame. */
const MAX_LENGTHS: Readonly<Record<FrameType, number>> = {
  hello: MAX_CONTROL_BYTES,
  welcome: MAX_CONTROL_BYTES,
  refuse: MAX_CONTROL_BYTES,
  data: MAX_DATA_BYTES,
  piece: MAX_DATA_BYTES,
  ack: 64 * 16,
  ping: 0,
  pong: 0,
  goodbye: 0,
  abort: MAX_CONTROL_BYTES,
};

export interface Frame {
  readonly type: FrameType;
  readonly channel: number;
  readonly number: number;
  readonly payload: Uint8Array;
}

/** Invalid frame; its connection is not used any more. */
export class BadLinkFrame extends Error {
  override readonly name = 'BadLinkFrame';
}

export const NO_BYTES: Uint8Array = new Uint8Array(0);

export function controlFrame(type: FrameType, number = 0, payload: Uint8Array = NO_BYTES): Frame {
  return { type, channel: 0, number, payload };
}

export function writeHead({ type, channel, number, payload }: Frame): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES);
  head.writeUInt16BE(MAGIC, 0);
  head[2] = TYPES[type];
  head[3] = channel;
  head.writeUInt32BE(payload.length, 4);
  head.writeUInt32BE(Math.floor(number / 2 ** 32), 8);
  head.writeUInt32BE(number >>> 0, 12);
  return head;
}

interface Head {
  readonly type: FrameType;
  readonly channel: number;
  readonly number: number;
  readonly length: number;
}

function readHead(head: Buffer): Head {
  if (head.readUInt16BE(0) !== MAGIC) throw new BadLinkFrame('it does not start as a frame does');
  const type = NAMES[head[2] ?? 0];
  if (!type) throw new BadLinkFrame(`frame type ${head[2] ?? 0} is unknown`);
  const length = head.readUInt32BE(4);
  if (length > MAX_LENGTHS[type]) throw new BadLinkFrame(`a ${type} frame of ${length} bytes`);
  const high = head.readUInt32BE(8);
  if (high >= 2 ** 21) throw new BadLinkFrame(`a ${type} frame with a number above 2^53`);
  const number = high * 2 ** 32 + head.readUInt32BE(12);
  return { type, channel: head[3] ?? 0, number, length };
}

/**
 * Splits a connection's bytes into frames; holds at most one frame, whose length is checked before its bytes are
 * stored.
 */
export class LinkFrameReader {
  readonly #headBytes = Buffer.alloc(HEAD_BYTES);
  #head: Head | undefined;
  #payload: Buffer = Buffer.alloc(0);
  /** Filled bytes of the head, or of the payload if there is a head. */
  #filled = 0;

  /** Returns the frames completed by these bytes, each with its own payload. Throws BadLinkFrame. */
  *read(bytes: Uint8Array): Generator<Frame, void, undefined> {
    let at = 0;
    while (at < bytes.length) {
      const target: Buffer = this.#head === undefined ? this.#headBytes : this.#payload;
      const piece = bytes.subarray(at, at + target.length - this.#filled);
      target.set(piece, this.#filled);
      at += piece.length;
      this.#filled += piece.length;
      if (this.#filled < target.length) return;
      this.#filled = 0;
      if (this.#head === undefined) {
        this.#head = readHead(this.#headBytes);
        this.#payload = Buffer.allocUnsafeSlow(this.#head.length);
        if (this.#head.length > 0) continue;
      }
      const { type, channel, number } = this.#head;
      this.#head = undefined;
      yield { type, channel, number, payload: this.#payload };
    }
  }
}
