import type { Lane } from './session.ts';
import { Fifo } from './fifo.ts';
import type { Outgoing } from './outbox.ts';

export interface SentMessage {
  readonly outgoing: Outgoing;
  readonly atMs: number;
}

export interface Link {
  readonly id: number;
  /** Sent data frames that are not confirmed. */
  readonly sent: Fifo<SentMessage>;
  flightBytes: number;
  /** Number of them that the peer has confirmed. */
  arrived: number;
  /** Received data frames, and how many were reported. */
  came: number;
  reported: number;
  /** Received bytes since the last report, and its time. */
  unreportedBytes: number;
  reportedAtMs: number;
  /** Start of the span that counts `spanBytes`; the previous span of equal length had `lastSpanBytes`. */
  spanFromMs: number;
  spanBytes: number;
  lastSpanBytes: number;
  heard: boolean;
  silentTicks: number;
  /** Time until a frame is confirmed, including its queue. */
  delayMs: number;
  pingAtMs: number | undefined;
  /** Peer's last unanswered ping, and the number of pings since an answer. */
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
 * Received frames are reported at this interval, or after this many bytes: each report is a TLS record and work
 * for both sides. A stream of `BUSY_BYTES` per span is reported more often: with 5 ms, 1 Gbit/s at a round trip
 * of 1 ms was only two thirds used. Frames after a pause are reported at once.
 */
export const REPORT_MS = 5;
const BUSY_REPORT_MS = 2;
const SPAN_MS = 20;
const BUSY_BYTES = 320 * 1024;
const MAX_UNREPORTED_BYTES = 256 * 1024;

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

/** Time until the peer must be informed of received frames, ms. Pure. */
export function mayWaitMs(link: Link, nowMs: number): number {
  if (link.unreportedBytes >= MAX_UNREPORTED_BYTES) return 0;
  const everyMs = link.lastSpanBytes < BUSY_BYTES ? REPORT_MS : BUSY_REPORT_MS;
  return Math.max(0, link.reportedAtMs + everyMs - nowMs);
}

export function reported(link: Link, nowMs: number): void {
  link.reported = link.came;
  link.reportedAtMs = nowMs;
  link.unreportedBytes = 0;
}

/** Bulk uses the connection with the least in flight, priority lanes the fastest one. */
export function isBefore(a: Link, b: Link, lane: Lane): boolean {
  if (lane !== 2 && a.silentTicks !== b.silentTicks) return a.silentTicks < b.silentTicks;
  if (lane !== 2 && a.delayMs !== b.delayMs) return a.delayMs < b.delayMs;
  return a.flightBytes < b.flightBytes;
}
