import type { Lane } from '../session.ts';
import { Fifo } from './fifo.ts';
import type { Outgoing } from './outbox.ts';

export interface Sent {
  readonly outgoing: Outgoing;
  readonly atMs: number;
}

/** What a session knows of one of its connections. */
export interface Link {
  readonly id: number;
  /** Data frames on it that are not known to have arrived. */
  readonly sent: Fifo<Sent>;
  flightBytes: number;
  /** How many of them the far side says came. */
  arrived: number;
  /** Data frames that came by it, and how many of those it was told of. */
  came: number;
  told: number;
  heard: boolean;
  silentTicks: number;
  /** How long a frame takes until it is known to be there, with what waits before it. */
  delayMs: number;
  pingAtMs: number | undefined;
}

export function newLink(id: number): Link {
  return {
    id,
    sent: new Fifo(),
    flightBytes: 0,
    arrived: 0,
    came: 0,
    told: 0,
    heard: true,
    silentTicks: 0,
    delayMs: 0,
    pingAtMs: undefined,
  };
}

/** Bulk goes where the least is on the way, what overtakes it where frames arrive the soonest. */
export function isBefore(a: Link, b: Link, lane: Lane): boolean {
  if (lane !== 2 && a.silentTicks !== b.silentTicks) return a.silentTicks < b.silentTicks;
  if (lane !== 2 && a.delayMs !== b.delayMs) return a.delayMs < b.delayMs;
  return a.flightBytes < b.flightBytes;
}
