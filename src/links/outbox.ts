import { laneOf, type Lane } from './session.ts';
import type { AckEntry } from './ack.ts';
import { Fifo } from './fifo.ts';
import {
  BadLinkFrame,
  FRAME_COST_BYTES,
  MAX_DATA_BYTES,
  MAX_MESSAGE_BYTES,
  NO_BYTES,
  type Frame,
} from './format.ts';
import type { Position } from './greeting.ts';

/** A data frame: kept until it is known to be received, counted until it is taken. */
export interface Outgoing {
  readonly channel: number;
  readonly number: number;
  readonly type: 'data' | 'piece';
  /** Of its payload, also once that is released. */
  readonly bytes: number;
  payload: Uint8Array;
  state: 'waiting' | 'sent' | 'received';
  /** It was on a connection that broke. */
  repeated: boolean;
}

interface Channel {
  /** Number of the next frame to be made. */
  next: number;
  taken: number;
  /** Frames up to here were given to a connection, so no more than these can have arrived. */
  given: number;
  /** Made and not taken, in order. */
  readonly kept: Fifo<Outgoing>;
}

interface LaneQueue {
  windowBytes: number;
  /** What is made and not taken counts for so much in the window. */
  outCost: number;
  /** What was on a connection that broke. */
  readonly again: Fifo<Outgoing>;
  readonly fresh: Fifo<Outgoing>;
}

/** Of the lanes before bulk; what they carry is small or waited for. */
const URGENT_WINDOW_BYTES = 8 * 1024 * 1024;
/** As much as the far side holds, until the relay asks for less. */
const FIRST_WINDOW_BYTES = Number.MAX_SAFE_INTEGER;
const MIN_WINDOW_BYTES = 64 * 1024;

/** The sender's half of a session: messages become numbered frames, and wait here for whatever connection there is. */
export class Outbox {
  readonly #channels = new Map<number, Channel>();
  readonly #lanes: readonly LaneQueue[];
  #outBytes = 0;
  /** The far side's bound on bulk. */
  #farHoldsBytes = MIN_WINDOW_BYTES;

  constructor() {
    this.#lanes = [URGENT_WINDOW_BYTES, URGENT_WINDOW_BYTES, FIRST_WINDOW_BYTES].map(
      (windowBytes) => ({ windowBytes, outCost: 0, again: new Fifo(), fresh: new Fifo() }),
    );
  }

  /** Bytes of messages that the far side has not taken. */
  get outBytes(): number {
    return this.#outBytes;
  }

  get isEmpty(): boolean {
    return this.#lanes.every(({ outCost }) => outCost === 0);
  }

  /** Bulk that may be out at once. */
  set windowBytes(bytes: number) {
    this.#lane(2).windowBytes = Math.max(bytes, MIN_WINDOW_BYTES);
  }

  set farHoldsBytes(bytes: number) {
    this.#farHoldsBytes = bytes;
  }

  /** Whether a message may enter its channel's lane: while the window is not full, so one message may go beyond it. */
  hasRoom(channel: number): boolean {
    const lane = laneOf(channel);
    const { windowBytes, outCost } = this.#lane(lane);
    return outCost < (lane === 2 ? Math.min(windowBytes, this.#farHoldsBytes) : windowBytes);
  }

  /** Whether anything of these lanes waits to be sent. */
  waits(lane: Lane): boolean {
    return this.#first(lane) !== undefined;
  }

  /** The bytes are kept as they are, not copied. */
  add(channel: number, message: Uint8Array): void {
    if (message.length > MAX_MESSAGE_BYTES) {
      throw new RangeError(`a message of ${message.length} bytes; ${MAX_MESSAGE_BYTES} at most`);
    }
    const lane = this.#lane(laneOf(channel));
    const state = this.#channel(channel);
    let at = 0;
    do {
      const payload = message.subarray(at, at + MAX_DATA_BYTES);
      at += payload.length;
      const outgoing: Outgoing = {
        channel,
        number: state.next,
        type: at < message.length ? 'piece' : 'data',
        bytes: payload.length,
        payload,
        state: 'waiting',
        repeated: false,
      };
      state.next += 1;
      state.kept.push(outgoing);
      lane.fresh.push(outgoing);
      lane.outCost += payload.length + FRAME_COST_BYTES;
      this.#outBytes += payload.length;
    } while (at < message.length);
  }

  /** The next frame of a lane, to be put on a connection; what was on a broken one comes first. */
  take(lane: Lane): Outgoing | undefined {
    const outgoing = this.#first(lane);
    if (outgoing === undefined) return undefined;
    const { again, fresh } = this.#lane(lane);
    (again.peek() === outgoing ? again : fresh).shift();
    outgoing.state = 'sent';
    const channel = this.#channel(outgoing.channel);
    channel.given = Math.max(channel.given, outgoing.number + 1);
    return outgoing;
  }

  /** Nothing is known of these: they go again, unless it turns out meanwhile that they arrived. */
  again(outgoing: Iterable<Outgoing>): void {
    for (const each of outgoing) {
      if (each.state !== 'sent') continue;
      each.state = 'waiting';
      each.repeated = true;
      this.#lane(laneOf(each.channel)).again.push(each);
    }
  }

  /** The far side has it, so it is not sent again; what it counts for goes once it is taken. */
  received(outgoing: Outgoing): void {
    outgoing.state = 'received';
    outgoing.payload = NO_BYTES;
  }

  /** How far the far side has got, as it says when a connection begins. */
  resume(positions: readonly Position[]): void {
    for (const [channel, received, taken] of positions) {
      this.#check(channel, received);
      this.taken([[channel, taken]]);
      for (const each of this.#channel(channel).kept) {
        if (each.number >= received) break;
        this.received(each);
      }
    }
  }

  taken(all: readonly AckEntry[]): void {
    for (const [number, frames] of all) {
      this.#check(number, frames);
      const channel = this.#channel(number);
      const lane = this.#lane(laneOf(number));
      while (channel.taken < frames) {
        const outgoing = channel.kept.shift();
        if (outgoing === undefined) break;
        this.received(outgoing);
        lane.outCost -= outgoing.bytes + FRAME_COST_BYTES;
        this.#outBytes -= outgoing.bytes;
        channel.taken += 1;
      }
    }
  }

  /** Forgets everything: the session is over. */
  clear(): void {
    this.#channels.clear();
    for (const lane of this.#lanes) {
      lane.again.clear();
      lane.fresh.clear();
      lane.outCost = 0;
    }
    this.#outBytes = 0;
  }

  #check(channel: number, frames: number): void {
    const given = this.#channels.get(channel)?.given ?? 0;
    if (frames <= given) return;
    throw new BadLinkFrame(
      `${frames} frames of channel ${channel} are said to be there, ${given} were sent`,
    );
  }

  #first(lane: Lane): Outgoing | undefined {
    const { again, fresh } = this.#lane(lane);
    while (again.peek()?.state === 'received') again.shift();
    return again.peek() ?? fresh.peek();
  }

  #lane(lane: Lane): LaneQueue {
    return this.#lanes[lane] as LaneQueue;
  }

  #channel(number: number): Channel {
    let channel = this.#channels.get(number);
    if (channel === undefined) {
      channel = { next: 0, taken: 0, given: 0, kept: new Fifo() };
      this.#channels.set(number, channel);
    }
    return channel;
  }
}

export function frameOf({ type, channel, number, payload }: Outgoing): Frame {
  return { type, channel, number, payload };
}
