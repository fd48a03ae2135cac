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

/** Data frame: kept until it is received, counted until it is taken. */
export interface Outgoing {
  readonly channel: number;
  readonly number: number;
  readonly type: 'data' | 'piece';
  /** Payload size, even after its release. */
  readonly bytes: number;
  payload: Uint8Array;
  state: 'waiting' | 'sent' | 'received';
  /** The frame's connection broke. */
  repeated: boolean;
}

interface Channel {
  next: number;
  taken: number;
  /** Frames up to here were sent, so no more can have arrived. */
  given: number;
  readonly kept: Fifo<Outgoing>;
}

interface LaneQueue {
  windowBytes: number;
  /** Window use of frames that are not taken. */
  outCost: number;
  readonly again: Fifo<Outgoing>;
  readonly fresh: Fifo<Outgoing>;
}

/** Window of the lanes before bulk, whose messages are small or awaited. */
const URGENT_WINDOW_BYTES = 8 * 1024 * 1024;
/** The peer's limit applies until the relay sets less. */
const FIRST_WINDOW_BYTES = Number.MAX_SAFE_INTEGER;
const MIN_WINDOW_BYTES = 64 * 1024;

/** Sending half of a session: splits messages into numbered frames, which wait here for a connection. */
export class Outbox {
  readonly #channels = new Map<number, Channel>();
  readonly #lanes: readonly LaneQueue[];
  #outBytes = 0;
  #farHoldsBytes = MIN_WINDOW_BYTES;

  constructor() {
    this.#lanes = [URGENT_WINDOW_BYTES, URGENT_WINDOW_BYTES, FIRST_WINDOW_BYTES].map(
      (windowBytes) => ({ windowBytes, outCost: 0, again: new Fifo(), fresh: new Fifo() }),
    );
  }

  /** Message bytes that the peer has not taken. */
  get outBytes(): number {
    return this.#outBytes;
  }

  get isEmpty(): boolean {
    return this.#lanes.every(({ outCost }) => outCost === 0);
  }

  set windowBytes(bytes: number) {
    this.#lane(2).windowBytes = Math.max(bytes, MIN_WINDOW_BYTES);
  }

  set farHoldsBytes(bytes: number) {
    this.#farHoldsBytes = bytes;
  }

  /**
   * True if a message may enter its channel's lane. Only a full window prevents it, so one message may exceed
   * the window.
   */
  hasRoom(channel: number): boolean {
    const lane = laneOf(channel);
    const { windowBytes, outCost } = this.#lane(lane);
    return outCost < (lane === 2 ? Math.min(windowBytes, this.#farHoldsBytes) : windowBytes);
  }

  waits(lane: Lane): boolean {
    return this.#first(lane) !== undefined;
  }

  /** The bytes are not copied. */
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

  /** Next frame of a lane; frames of a broken connection first. */
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

  /** The arrival of these is unknown: they are sent again unless it is confirmed meanwhile. */
  again(outgoing: Iterable<Outgoing>): void {
    for (const each of outgoing) {
      if (each.state !== 'sent') continue;
      each.state = 'waiting';
      each.repeated = true;
      this.#lane(laneOf(each.channel)).again.push(each);
    }
  }

  /** The peer has it, so it is not sent again; it counts until it is taken. */
  received(outgoing: Outgoing): void {
    outgoing.state = 'received';
    outgoing.payload = NO_BYTES;
  }

  /** Peer's progress at the start of a connection. */
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
