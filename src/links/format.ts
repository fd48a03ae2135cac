/**
 * Frames between two ends of a session. A head is u16 magic `474c`, u8 type, u8 channel, u32 payload's length, u64
 * number; integers are big-endian. src/links/README.md says what each type holds.
 */
export const LINK_VERSION = 1;
export const MAGIC = 0x474c;
export const HEAD_BYTES = 16;
/** A frame with its head: what is urgent waits for at most one of these at the sender. */
const MAX_FRAME_BYTES = 64 * 1024;
export const MAX_DATA_BYTES = MAX_FRAME_BYTES - HEAD_BYTES;
/** A message is cut into frames, and joined at the other end before it is handed over. */
export const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;
/** What a frame counts for in windows and bounds beside its payload: about what holding it costs, so that small ones are bounded in number. */
export const FRAME_COST_BYTES = 256;
const MAX_CONTROL_BYTES = 32 * 1024;

export const TYPES = {
  /** From whoever connects: which session, and what was received of it. */
  hello: 1,
  /** The answer: the same from the other side. */
  welcome: 2,
  /** The other answer: why not. */
  refuse: 3,
  /** A message, or its last piece. `number` counts the pieces of its channel. */
  data: 4,
  /** A piece that is not its message's last. */
  piece: 5,
  /** `number` is how many data frames came on this connection; the payload reports what was taken, by channel. */
  ack: 6,
  /** `number` comes back in a pong. */
  ping: 7,
  pong: 8,
  /** All that was sent is taken, and no more comes. */
  goodbye: 9,
  /** The session ends for the reason in the payload. */
  abort: 10,
} as const;
export type FrameType = keyof typeof TYPES;

const NAMES = ['', ...Object.keys(TYPES)] as ('' | FrameType)[];

/** Payload bytes that a type may have; what waits for its end is bounded by this. */
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

/** The other end sent a frame that this protocol does not make. Its connection is not used any more. */
export class BadLinkFrame extends Error {
  override readonly name = 'BadLinkFrame';
}

export const NO_BYTES: Uint8Array = new Uint8Array(0);

export function controlFrame(type: FrameType, number = 0, payload: Uint8Array = NO_BYTES): Frame {
  return { type, channel: 0, number, payload };
}

/** The head of a frame; its payload follows as it is. */
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

/** Cuts a connection's bytes into frames; holds one frame at most, of a length checked before its bytes are kept. */
export class LinkFrameReader {
  readonly #headBytes = Buffer.alloc(HEAD_BYTES);
  #head: Head | undefined;
  #payload: Buffer = Buffer.alloc(0);
  /** Bytes of the head, or of the payload once there is a head. */
  #filled = 0;

  /** Gives out the frames that are whole with these bytes, with payloads of their own. Throws BadLinkFrame. */
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
