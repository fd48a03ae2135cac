import type { HandedOver } from '../../migration/report/verified.ts';
import type { Connection } from '../../protocol/peer/connections.ts';
import { keyOf, type Entries } from './entries.ts';

/** Tells from the kernel's timeouts whether restored connections carry packets. Pure. */

export interface RestoredConnection {
  readonly timeoutS: number;
  /** Monotonic clock. */
  readonly putAtMs: number;
}

/** Timeouts are whole seconds, rounded twice. */
const ROUNDED_S = 2;

/** A packet resets an entry's timeout; otherwise it falls with the elapsed time. */
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
