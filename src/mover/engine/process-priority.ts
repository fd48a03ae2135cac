import { setPriority } from 'node:os';
import type { Phase } from '../../protocol/public/migration.ts';
import type { Live } from './live.ts';

/** How urgently a mover has to run: its part in the blackout is as long as it waits for a processor. */
export type Pace = 'usual' | 'soon' | 'later';

/** As `nice` counts. Below 0 needs a privilege; without it, movers run as everything else does. */
const NICE: Record<Pace, number> = { usual: 0, soon: -10, later: 10 };

/**
 * Ahead of everything else from when memory moves until the guest runs at its destination; after that behind it,
 * since what is left is tidying and the guest wants the processors.
 */
export function paceOf(side: 'source' | 'destination', phase: Phase): Pace {
  switch (phase) {
    case 'memory':
    case 'switchover':
      return 'soon';
    case 'handover':
      // The destination enters it when the guest runs, the source when it gives the right to run away.
      return side === 'source' ? 'soon' : 'later';
    case 'draining':
    case 'verifying':
    case 'cleanup':
      return 'later';
    default:
      return 'usual';
  }
}

/** Keeps this process at the pace of its migration until that has ended. Never rejects. */
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
      // Not permitted: a little slower, and nothing else.
    }
  }
}
