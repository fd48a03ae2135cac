import { CHANNELS, laneOf } from './session.ts';
import type { AckEntry } from './ack.ts';
import { Fifo } from './fifo.ts';
import { BadLinkFrame, FRAME_COST_BYTES, MAX_MESSAGE_BYTES, type Frame } from './format.ts';
import type { Position } from './greeting.ts';

interface Message {
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  readonly frames: number;
  readonly costBytes: number;
}

interface Channel {
  next: number;
  taken: number;
  /** Frames that overtook others on another connection. */
  readonly early: Map<number, Frame>;
  pieces: Uint8Array[];
  bytes: number;
  readonly ready: Fifo<Message>;
  /** A handler has the first of `ready`. */
  busy: boolean;
}

/** Buffer limit of the lanes before bulk. */
const URGENT_HOLDS_BYTES = 16 * 1024 * 1024;
/** One message may exceed a window, see Outbox.hasRoom; its frames' cost counts too. */
const BEYOND_BYTES = MAX_MESSAGE_BYTES + 64 * 1024;

/** Receiving half of a session: reorders frames into messages, each delivered once and in order per channel. */
export class Inbox {
  readonly #channels = new Map<number, Channel>();
  readonly #mostBytes: readonly number[];
  readonly #heldBytes = [0, 0, 0];
  /** Channels with taken frames that the peer has not been informed of. */
  readonly #news = new Set<number>();
  duplicates = 0;

  /** `holdsBytes`: limit of bulk. */
  constructor(holdsBytes: number) {
    this.#mostBytes = [URGENT_HOLDS_BYTES, URGENT_HOLDS_BYTES, holdsBytes].map(
      (bytes) => bytes + BEYOND_BYTES,
    );
  }

  /** Received but not taken. */
  get heldBytes(): number {
    return this.#heldBytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Accepts a data frame; true if its channel now has a message for `start`. Throws BadLinkFrame. */
  accept(frame: Frame): boolean {
    const { number } = frame;
    if (frame.channel >= CHANNELS)
      throw new BadLinkFrame(`channel ${frame.channel} does not exist`);
    const channel = this.#channel(frame.channel);
    if (number < channel.next || channel.early.has(number)) {
      this.duplicates += 1;
      return false;
    }
    this.#hold(frame);
    if (number > channel.next) {
      channel.early.set(number, frame);
      return false;
    }
    const before = channel.ready.length;
    let next: Frame | undefined = frame;
    while (next !== undefined) {
      this.#append(channel, next);
      channel.next += 1;
      next = channel.early.get(channel.next);
      channel.early.delete(channel.next);
    }
    return channel.ready.length > before;
  }

  /** Channel's next message for its handler, unless the previous one is not taken yet. */
  start(number: number): Uint8Array | undefined {
    const channel = this.#channel(number);
    const message = channel.ready.peek();
    if (channel.busy || message === undefined) return undefined;
    channel.busy = true;
    const [only] = message.pieces;
    if (message.pieces.length === 1 && only !== undefined) return only;
    return Buffer.concat(message.pieces, message.bytes);
  }

  took(number: number): void {
    const channel = this.#channel(number);
    const message = channel.ready.shift();
    if (message === undefined || !channel.busy) throw new Error('no message was being taken');
    channel.busy = false;
    channel.taken += message.frames;
    this.#heldBytes[laneOf(number)] = this.#held(number) - message.costBytes;
    this.#news.add(number);
  }

  waiting(): number[] {
    return [...this.#channels]
      .filter(([, { ready, busy }]) => !busy && ready.length > 0)
      .map(([number]) => number);
  }

  /** Taken frames since the last call. */
  news(): AckEntry[] {
    const reported = [...this.#news];
    this.#news.clear();
    return reported.map((number) => [number, this.#channel(number).taken]);
  }

  /** Reports everything again, because earlier reports may have been lost with a connection. */
  reportAgain(): void {
    for (const [number, { taken }] of this.#channels) if (taken > 0) this.#news.add(number);
  }

  get hasNews(): boolean {
    return this.#news.size > 0;
  }

  positions(): Position[] {
    return [...this.#channels].map(([number, { next, taken }]) => [number, next, taken]);
  }

  clear(): void {
    this.#channels.clear();
    this.#news.clear();
    this.#heldBytes.fill(0);
  }

  #hold({ channel, number, payload }: Frame): void {
    const lane = laneOf(channel);
    const held = this.#held(channel) + payload.length + FRAME_COST_BYTES;
    if (held > (this.#mostBytes[lane] ?? 0)) {
      throw new BadLinkFrame(`frame ${number} of channel ${channel} is more than this side holds`);
    }
    this.#heldBytes[lane] = held;
  }

  #append(channel: Channel, { type, payload }: Frame): void {
    channel.pieces.push(payload);
    channel.bytes += payload.length;
    if (channel.bytes > MAX_MESSAGE_BYTES) {
      throw new BadLinkFrame(`a message of more than ${MAX_MESSAGE_BYTES} bytes`);
    }
    if (type === 'piece') return;
    const { pieces, bytes } = channel;
    const frames = pieces.length;
    channel.ready.push({ pieces, bytes, frames, costBytes: bytes + frames * FRAME_COST_BYTES });
    channel.pieces = [];
    channel.bytes = 0;
  }

  #held(channel: number): number {
    return this.#heldBytes[laneOf(channel)] ?? 0;
  }

  #channel(number: number): Channel {
    let channel = this.#channels.get(number);
    if (channel === undefined) {
      channel = {
        next: 0,
        taken: 0,
        early: new Map(),
        pieces: [],
        bytes: 0,
        ready: new Fifo(),
        busy: false,
      };
      this.#channels.set(number, channel);
    }
    return channel;
  }
}
