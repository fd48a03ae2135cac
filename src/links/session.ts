/**
 * What carries a migration's channels between two movers and outlives the connections below it. The relay of a
 * hypervisor's stream knows this and no more of the network.
 */
export interface Session {
  /**
   * Messages of one channel arrive once and in order. Resolves when the session has taken the message: its queue is
   * bounded. Rejects once the session is over.
   */
  send(channel: number, message: Uint8Array): Promise<void>;
  /** Called for each message, in order within its channel; it counts as taken, and is acknowledged, once this resolves. */
  onMessage: (channel: number, message: Uint8Array) => Promise<void>;
  readonly measure: LinkMeasure;
  /** Bytes that were sent and that the far side's `onMessage` has not taken yet. */
  readonly unacknowledgedBytes: number;
  /** Waits until all that was sent is taken, then ends the session on both sides. */
  close(deadlineMs: number): Promise<void>;
  /** Ends it at once, here and, if it can be reached, there. */
  abort(error: Error): void;
  /** Resolves when the session was closed; rejects with why it is over otherwise. */
  readonly ended: Promise<void>;
}

/** What the link does now. */
export interface LinkMeasure {
  /** What it lets through, as acknowledgements show it. */
  readonly bytesPerS: number;
  readonly roundTripMs: number;
  /** Connections that stand. */
  readonly connections: number;
  /** For how long no connection has stood; none of them is missed while one stands. */
  readonly cutForMs: number | undefined;
}

/** The lower overtakes the higher: control, then what somebody waits for, then bulk. */
export type Lane = 0 | 1 | 2;

export const CHANNELS = 64;

/** Which lane a channel's messages take: 0-15 control, 16-31 urgent, 32-63 bulk. */
export function laneOf(channel: number): Lane {
  if (!Number.isInteger(channel) || channel < 0 || channel >= CHANNELS) {
    throw new RangeError(`channel ${channel} is not within 0 to ${CHANNELS - 1}`);
  }
  if (channel < 16) return 0;
  return channel < 32 ? 1 : 2;
}
