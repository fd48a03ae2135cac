import type { Lane } from './session.ts';
import { Fifo } from './fifo.ts';
import type { Outgoing } from './outbox.ts';

export interface SentMessage {
  readonly outgoing: Outgoing;
  readonly atMs: number;
}

/** What a session knows of one of its connections. */
export interface Link {
  readonly id: number;
  /** Data frames on it that are not known to have arrived. */
  readonly sent: Fifo<SentMessage>;
  flightBytes: number;
  /** How many of them the far side says came. */
  arrived: number;
  /** Data frames that came by it, and how many of those were reported. */
  came: number;
  reported: number;
  /** Bytes that came since it was reported, and when that was. */
  unreportedBytes: number;
  reportedAtMs: number;
  /** Since when `spanBytes` came; in the span of the same length before it came `lastSpanBytes`. */
  spanFromMs: number;
  spanBytes: number;
  lastSpanBytes: number;
  heard: boolean;
  silentTicks: number;
  /** How long a frame takes until it is known to be there, with what waits before it. */
  delayMs: number;
  pingAtMs: number | undefined;
  /** The far side's last ping that is not answered yet, and how many came since an answer. */
  pong: number | undefined;
  pings: number;
}

export function newLink(id: number): Link {
  return {
    id,
    sent: new Fifo(),
    flightBytes: 0,
    arrived: 0,
    came: 0,
    reported: 0,
    unreportedBytes: 0,
    reportedAtMs: Number.NEGATIVE_INFINITY,
    spanFromMs: Number.NEGATIVE_INFINITY,
    spanBytes: 0,
    lastSpanBytes: 0,
    heard: true,
    silentTicks: 0,
    delayMs: 0,
    pingAtMs: undefined,
    pong: undefined,
    pings: 0,
  };
}

/**
 * What came is reported so seldom, or once so much came: each report is a TLS record and a turn of both sides, as much work
 * as the piece itself. Of a stream of `BUSY_BYTES` in a span more often: reported every 5 ms, 1 Gbit/s with a round trip of 1 ms
 * was two thirds full.
 * What comes after a pause is reported at once.
 */
export const REPORT_MS = 5;
const BUSY_REPORT_MS = 2;
const SPAN_MS = 20;
const BUSY_BYTES = 320 * 1024;
const MAX_UNREPORTED_BYTES = 256 * 1024;

/** A data frame came. */
export function came(link: Link, bytes: number, nowMs: number): void {
  const passedMs = nowMs - link.spanFromMs;
  if (passedMs >= SPAN_MS) {
    link.lastSpanBytes = passedMs < 2 * SPAN_MS ? link.spanBytes : 0;
    link.spanFromMs = nowMs;
    link.spanBytes = 0;
  }
  link.came += 1;
  link.spanBytes += bytes;
  link.unreportedBytes += bytes;
}

/** For how long the far side may yet wait to hear of what came, ms. Pure. */
export function mayWaitMs(link: Link, nowMs: number): number {
  if (link.unreportedBytes >= MAX_UNREPORTED_BYTES) return 0;
  const everyMs = link.lastSpanBytes < BUSY_BYTES ? REPORT_MS : BUSY_REPORT_MS;
  return Math.max(0, link.reportedAtMs + everyMs - nowMs);
}

/** All that came has been reported. */
export function reported(link: Link, nowMs: number): void {
  link.reported = link.came;
  link.reportedAtMs = nowMs;
  link.unreportedBytes = 0;
}

/** Bulk goes where the least is on the way, what overtakes it where frames arrive the soonest. */
export function isBefore(a: Link, b: Link, lane: Lane): boolean {
  if (lane !== 2 && a.silentTicks !== b.silentTicks) return a.silentTicks < b.silentTicks;
  if (lane !== 2 && a.delayMs !== b.delayMs) return a.delayMs < b.delayMs;
  return a.flightBytes < b.flightBytes;
}
