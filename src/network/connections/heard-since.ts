import type { HandedOver } from '../../migration/report/verified.ts';
import type { Connection } from '../../protocol/peer/connections.ts';
import { keyOf, type Entries } from './entries.ts';

/** Whether connections that were put into a host's table carry packets there, by what the kernel makes of their timeouts. Pure. */

/** An established TCP connection as it was put in. */
export interface RestoredConnection {
  readonly timeoutS: number;
  /** By the monotonic clock. */
  readonly putAtMs: number;
}

/** Whole seconds, rounded at either end. */
const ROUNDED_S = 2;

/** A packet winds an entry’s timeout up again: one without a packet has as much less as time has passed. */
export function heardSince(
  handed: ReadonlyMap<string, RestoredConnection>,
  now: Entries['entries'],
  nowMs: number,
): HandedOver {
  const there = new Map<string, Connection>(now.map((entry) => [keyOf(entry), entry]));
  let [established, carried, reset] = [0, 0, 0];
  for (const [key, { timeoutS, putAtMs }] of handed) {
    const entry = there.get(key);
    if (entry?.protocol !== 'tcp') continue;
    if (entry.state === 'CLOSE') reset += 1;
    if (entry.state !== 'ESTABLISHED') continue;
    established += 1;
    const silentS = timeoutS - (nowMs - putAtMs) / 1000;
    if (entry.timeoutS >= silentS + ROUNDED_S) carried += 1;
  }
  return { count: handed.size, established, carried, reset };
}
