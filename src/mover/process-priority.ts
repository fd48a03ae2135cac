import { setPriority } from 'node:os';
import type { Phase } from '../protocol/public/migration.ts';
import type { Live } from './engine/live.ts';

/** Priority of a mover: its part of the blackout depends on how long it waits for a processor. */
export type Pace = 'usual' | 'soon' | 'later';

/** `nice` values. Below 0 needs a privilege; without it, movers have normal priority. */
const NICE: Record<Pace, number> = { usual: 0, soon: -10, later: 10 };

/** High from memory until the guest runs at its destination; low afterwards, for the guest. */
export function paceOf(side: 'source' | 'destination', phase: Phase): Pace {
  switch (phase) {
    case 'memory':
    case 'switchover':
      return 'soon';
    case 'handover':
      // The destination enters it when the guest runs, the source when its right is given away.
      return side === 'source' ? 'soon' : 'later';
    case 'draining':
    case 'verifying':
    case 'cleanup':
      return 'later';
    default:
      return 'usual';
  }
}

/** Sets this process's priority until its migration ends. Never rejects. */
export async function keepPace(
  side: 'source' | 'destination',
  live: Live,
  signal: AbortSignal,
): Promise<void> {
  let now: Pace = 'usual';
  for await (const { phase } of live.follow(signal)) {
    const pace = paceOf(side, phase);
    if (pace === now) continue;
    now = pace;
    try {
      setPriority(NICE[pace]);
    } catch {
      // Not permitted: only a little slower.
    }
  }
}
