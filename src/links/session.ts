/**
 * Carries a migration's channels between two movers and outlives its connections. The relay of a hypervisor's
 * stream uses only this interface of the network.
 */
export interface Session {
  /**
   * Sends a message; those of a channel arrive once and in order. Resolves when the session's limited queue has
   * accepted it. Rejects after the session's end.
   */
  send(channel: number, message: Uint8Array): Promise<void>;
  /** Called for each message, in order per channel; the message is taken and acknowledged once this resolves. */
  onMessage: (channel: number, message: Uint8Array) => Promise<void>;
  readonly measure: LinkMeasure;
  /** Sent bytes that the peer's `onMessage` has not taken. */
  readonly unacknowledgedBytes: number;
  /** Waits until everything sent is taken, then ends the session on both sides. */
  close(deadlineMs: number): Promise<void>;
  /** Ends it at once, also at the peer if it is reachable. */
  abort(error: Error): void;
  /** Resolves when the session was closed; otherwise rejects with the reason. */
  readonly ended: Promise<void>;
}

export interface LinkMeasure {
  /** Throughput measured by acknowledgements. */
  readonly bytesPerS: number;
  readonly roundTripMs: number;
  readonly connections: number;
  /** Time without any connection, ms; undefined while one is established. */
  readonly cutForMs: number | undefined;
}

/** Lower lanes have priority: control, then awaited data, then bulk. */
export type Lane = 0 | 1 | 2;

export const CHANNELS = 64;

/** Lane of a channel: 0-15 control, 16-31 urgent, 32-63 bulk. */
export function laneOf(channel: number): Lane {
  if (!Number.isInteger(channel) || channel < 0 || channel >= CHANNELS) {
    throw new RangeError(`channel ${channel} is not within 0 to ${CHANNELS - 1}`);
  }
  if (channel < 16) return 0;
  return channel < 32 ? 1 : 2;
}
