import { godwitError, type GodwitError } from '../errors.ts';
import type { Lane, LinkMeasure } from './session.ts';
import { readAck, writeAck } from './ack.ts';
import { Flight } from './flight.ts';
import { BadLinkFrame, controlFrame, HEAD_BYTES, type Frame } from './format.ts';
import type { Position } from './greeting.ts';
import { Inbox } from './inbox.ts';
import { came, isBefore, mayWaitMs, newLink, REPORT_MS, reported, type Link } from './link.ts';
import { frameOf, Outbox, type Outgoing } from './outbox.ts';
import { TokenBucket } from './token-bucket.ts';

/** Interval of `tick`, the core's clock. */
export const TICK_MS = 250;
/** A connection without input for this many ticks is dead. */
const SILENT_TICKS = 10;
/** The peer pings again after an answer; a busy process may find several pings at once. */
const MAX_PINGS = 64;
/**
 * Limit of written bytes that the kernel has not taken, in windows: a write counts completely until it ends,
 * though its beginning may have arrived. A peer that acknowledges unread frames gets no more.
 */
const UNREAD_SHARE = 2;
/** Additional bytes in flight for priority lanes. */
const URGENT_FLIGHT_BYTES = 128 * 1024;

export type Effect =
  | { readonly type: 'write'; readonly link: number; readonly frame: Frame }
  | { readonly type: 'drop'; readonly link: number }
  /** A message of that channel may be taken. */
  | { readonly type: 'ready'; readonly channel: number }
  /** There is something to acknowledge or room to send: handle it after this turn. */
  | { readonly type: 'soon' }
  | { readonly type: 'goodbye' }
  | { readonly type: 'aborted'; readonly payload: Uint8Array };

export interface Counters {
  /** Frame bytes written and read, including heads. */
  sentBytes: number;
  receivedBytes: number;
  repeatedBytes: number;
  /** Count of times without any connection, and the longest, ms. */
  cuts: number;
  longestCutMs: number;
}

/**
 * Session without sockets and clock: processes events with their times, keeps the state that outlives a
 * connection, and returns actions.
 */
export class LinkCore {
  readonly outbox = new Outbox();
  readonly inbox: Inbox;
  readonly flight = new Flight();
  readonly bucket = new TokenBucket();
  readonly counters: Counters = {
    sentBytes: 0,
    receivedBytes: 0,
    repeatedBytes: 0,
    cuts: 0,
    longestCutMs: 0,
  };
  readonly #peer: string;
  readonly #graceMs: number;
  readonly #links = new Map<number, Link>();
  #effects: Effect[] = [];
  /** Time since which there is no connection. */
  #cutAtMs: number | undefined;

  constructor(options: {
    readonly peer: string;
    readonly graceMs: number;
    readonly holdsBytes: number;
  }) {
    this.#peer = options.peer;
    this.#graceMs = options.graceMs;
    this.inbox = new Inbox(options.holdsBytes);
  }

  effects(): Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  measure(nowMs: number): LinkMeasure {
    return {
      bytesPerS: this.flight.bytesPerS,
      roundTripMs: this.flight.roundTripMs,
      connections: this.#links.size,
      cutForMs: this.#cutAtMs === undefined ? undefined : nowMs - this.#cutAtMs,
    };
  }

  setRate(bytesPerS: number | undefined, nowMs: number): void {
    const before = this.bucket.bytesPerS;
    this.bucket.setRate(bytesPerS, nowMs);
    if (before !== undefined && (bytesPerS ?? Infinity) > before * 1.5) this.flight.grow();
  }

  /** Adds a connection; `positions`: the peer's progress. Throws BadLinkFrame. */
  join(id: number, positions: readonly Position[], nowMs: number): void {
    this.outbox.resume(positions);
    this.#links.set(id, newLink(id));
    this.#endCut(nowMs);
    this.flight.grow();
    // Messages taken since the greeting may have been reported to a connection that is gone.
    this.inbox.reportAgain();
    this.#effects.push({ type: 'soon' });
  }

  /** Removes a connection; its frames are sent again over another. */
  leave(id: number, nowMs: number): void {
    const link = this.#links.get(id);
    if (link === undefined) return;
    this.#links.delete(id);
    this.flight.lost(link.flightBytes);
    this.outbox.again([...link.sent].map(({ outgoing }) => outgoing));
    this.inbox.reportAgain();
    this.#effects.push({ type: 'soon' });
    if (this.#links.size > 0) return;
    this.#cutAtMs = nowMs;
    this.counters.cuts += 1;
  }

  /** Processes a received frame; throws BadLinkFrame for an invalid one. */
  receive(id: number, frame: Frame, nowMs: number): void {
    const link = this.#links.get(id);
    if (link === undefined) return;
    link.heard = true;
    this.counters.receivedBytes += HEAD_BYTES + frame.payload.length;
    switch (frame.type) {
      case 'data':
      case 'piece':
        came(link, HEAD_BYTES + frame.payload.length, nowMs);
        if (this.inbox.accept(frame)) this.#effects.push({ type: 'ready', channel: frame.channel });
        return;
      case 'ack':
        return this.#acknowledged(link, frame, nowMs);
      case 'ping':
        link.pong = frame.number;
        link.pings += 1;
        if (link.pings > MAX_PINGS) throw new BadLinkFrame('a ping before the last was answered');
        this.#effects.push({ type: 'soon' });
        return;
      case 'pong':
        if (link.pingAtMs !== undefined) this.flight.roundTrip(nowMs - link.pingAtMs, nowMs);
        link.pingAtMs = undefined;
        return;
      case 'goodbye':
        this.#effects.push({ type: 'goodbye' });
        return;
      case 'abort':
        this.#effects.push({ type: 'aborted', payload: frame.payload });
        return;
      case 'hello':
      case 'welcome':
      case 'refuse':
        throw new BadLinkFrame(`a ${frame.type} frame on a connection that stands`);
    }
  }

  /**
   * Reports received and taken frames and answers the last ping. Returns the time until delayed reports are due.
   * A connection that is full of reports waits: the next report includes all.
   */
  acknowledge(nowMs: number, isFull: (link: number) => boolean = () => false): number | undefined {
    let leftMs: number | undefined;
    for (const link of this.#links.values()) {
      const isNews = link.came !== link.reported || this.inbox.hasNews;
      if (!isNews && link.pong === undefined) continue;
      const isHeld = isFull(link.id);
      if (!isHeld) this.#pong(link);
      if (!isNews && !isHeld) continue;
      const waitMs = isHeld ? REPORT_MS : mayWaitMs(link, nowMs);
      if (waitMs > 0) {
        leftMs = Math.min(leftMs ?? waitMs, waitMs);
        continue;
      }
      const taken = this.inbox.hasNews ? writeAck(this.inbox.news()) : undefined;
      this.#write(link, controlFrame('ack', link.came, taken));
      reported(link, nowMs);
    }
    return leftMs;
  }

  /**
   * Fills the connections. Returns the time until more may be sent if only the rate limit holds it back.
   * `unreadBytes`: earlier bytes that the kernel has not taken.
   */
  pump(nowMs: number, unreadBytes = 0): number | undefined {
    const mostBytes = this.flight.limitBytes + URGENT_FLIGHT_BYTES;
    if (unreadBytes > UNREAD_SHARE * mostBytes) return undefined;
    for (const lane of [0, 1, 2] as const) {
      while (this.outbox.waits(lane)) {
        const link = this.#linkFor(lane);
        if (link === undefined) return undefined;
        const waitMs = lane === 2 ? this.bucket.waitMs(nowMs) : 0;
        if (waitMs > 0) return waitMs;
        const outgoing = this.outbox.take(lane);
        if (outgoing !== undefined) this.#send(link, outgoing, nowMs);
      }
    }
    if (this.#links.size > 0) this.flight.idle();
    return undefined;
  }

  /** Checks the connections. Returns the reason once the session has had none for too long. */
  tick(nowMs: number): GodwitError | undefined {
    for (const link of this.#links.values()) {
      link.silentTicks = link.heard ? 0 : link.silentTicks + 1;
      link.heard = false;
      if (link.silentTicks >= SILENT_TICKS) {
        this.#effects.push({ type: 'drop', link: link.id });
      } else if (link.pingAtMs === undefined) {
        link.pingAtMs = nowMs;
        this.#write(link, controlFrame('ping', 0));
      }
    }
    if (this.#cutAtMs === undefined || nowMs - this.#cutAtMs <= this.#graceMs) return undefined;
    return godwitError('GODWIT_LINK_LOST', { peer: this.#peer, graceMs: this.#graceMs });
  }

  sendToAll(frame: Frame): void {
    for (const link of this.#links.values()) this.#write(link, frame);
  }

  clear(nowMs: number): void {
    this.#endCut(nowMs);
    this.#links.clear();
    this.outbox.clear();
    this.inbox.clear();
  }

  #pong(link: Link): void {
    if (link.pong === undefined) return;
    this.#write(link, controlFrame('pong', link.pong));
    link.pong = undefined;
    link.pings = 0;
  }

  #acknowledged(link: Link, { number, payload }: Frame, nowMs: number): void {
    let bytes = 0;
    let delayMs = 0;
    if (number < link.arrived) throw new BadLinkFrame('an ack that takes back another');
    while (link.arrived < number) {
      const sent = link.sent.shift();
      if (sent === undefined) throw new BadLinkFrame('an ack of what was not sent');
      link.arrived += 1;
      bytes += sent.outgoing.bytes + HEAD_BYTES;
      delayMs = nowMs - sent.atMs;
      this.outbox.received(sent.outgoing);
    }
    if (bytes > 0) {
      link.flightBytes -= bytes;
      link.delayMs = link.delayMs === 0 ? delayMs : link.delayMs * 0.75 + delayMs * 0.25;
      this.flight.arrived(bytes, delayMs, nowMs);
    }
    this.outbox.taken(readAck(payload));
    this.#effects.push({ type: 'soon' });
  }

  /** Connection for a lane's next frame; undefined while enough is in flight. */
  #linkFor(lane: Lane): Link | undefined {
    const most = this.flight.limitBytes + (lane === 2 ? 0 : URGENT_FLIGHT_BYTES);
    if (this.flight.bytes >= most) return undefined;
    let best: Link | undefined;
    for (const link of this.#links.values()) {
      if (best === undefined || isBefore(link, best, lane)) best = link;
    }
    return best;
  }

  #send(link: Link, outgoing: Outgoing, nowMs: number): void {
    const bytes = outgoing.bytes + HEAD_BYTES;
    if (outgoing.repeated) this.counters.repeatedBytes += bytes;
    link.sent.push({ outgoing, atMs: nowMs });
    link.flightBytes += bytes;
    this.flight.sent(bytes, nowMs);
    this.bucket.spend(bytes, nowMs);
    this.#write(link, frameOf(outgoing));
  }

  #write({ id: link }: Link, frame: Frame): void {
    this.counters.sentBytes += HEAD_BYTES + frame.payload.length;
    this.#effects.push({ type: 'write', link, frame });
  }

  #endCut(nowMs: number): void {
    if (this.#cutAtMs === undefined) return;
    this.counters.longestCutMs = Math.max(this.counters.longestCutMs, nowMs - this.#cutAtMs);
    this.#cutAtMs = undefined;
  }
}
