import type { QmpEvent } from '../lab/witness/monitor.ts';

/** True for the event in which the stream enters `status`. */
export function stream(status: string): (event: QmpEvent) => boolean {
  return ({ event, data }) => event === 'MIGRATION' && data['status'] === status;
}

/** When the source's QEMU says that each thing happened; wall clock, ms. The same clock whoever drives it. */
export interface StreamTimes {
  /** It took the order to migrate. */
  readonly orderedAtMs: number;
  /** The connection stands and memory flows. */
  readonly activeAtMs: number;
  readonly stoppedAtMs: number;
  readonly completedAtMs: number;
  /** The destination's QEMU: the guest runs there. Absent where its monitor was not watched. */
  readonly resumedAtMs?: number;
}

/** The times of the latest migration among a monitor's events. Throws when it has not completed. */
export function streamTimes(events: readonly QmpEvent[]): StreamTimes {
  const from = events.findLastIndex(stream('setup'));
  const own = events.slice(Math.max(0, from));
  const at = (what: string, wanted: (event: QmpEvent) => boolean): number => {
    const found = own.find(wanted);
    if (found === undefined) throw new Error(`the source's QEMU never said ${what}`);
    return found.atMs;
  };
  return {
    orderedAtMs: at('setup', stream('setup')),
    activeAtMs: at('active', stream('active')),
    stoppedAtMs: at('STOP', ({ event }) => event === 'STOP'),
    completedAtMs: at('completed', stream('completed')),
  };
}

/** A stream's times as a benchmark compares them, ms. */
export function spans(times: StreamTimes): {
  readonly totalMs: number;
  readonly stoppedMs: number | undefined;
} {
  const { orderedAtMs, stoppedAtMs, completedAtMs, resumedAtMs } = times;
  return {
    totalMs: completedAtMs - orderedAtMs,
    stoppedMs: resumedAtMs === undefined ? undefined : resumedAtMs - stoppedAtMs,
  };
}
