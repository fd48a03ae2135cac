import { systemClock } from '../../../clock.ts';
import { godwitError, type GodwitError } from '../../../errors.ts';
import type { Life } from '../../../system/processes/life.ts';

/** Whose monitor this is; for the words of errors, and for the proof that its process has ended. */
export interface MonitorOwner {
  readonly host: string;
  readonly guest: string;
  readonly side: 'source' | 'destination';
  /** Absent where the process behind the monitor is not known: its end is then never concluded. */
  readonly process?: MonitorProcess;
  /** How long that process may take to end once its monitor has closed, ms; default ENDS_MS. */
  readonly endsMs?: number;
}

export interface MonitorProcess {
  life(): Life;
  /** It has begun to end, or has ended: what it said before is all that it ever does. */
  isEnding(): boolean;
}

/** A QEMU that ends closes its monitor before the kernel has taken its memory apart, ms. */
export const ENDS_MS = 5000;
const POLL_MS = 5;

/**
 * A connection says nothing about the process behind it: sockets are refused, closed and garbled also by a QEMU that runs
 * its guest. GODWIT_HYPERVISOR_LOST once the process is gone by the kernel's word, within the owner's `endsMs`; else
 * GODWIT_MONITOR_UNREACHABLE, as it may run its guest.
 */
export async function judgeEnd(
  owner: MonitorOwner,
  reason: string,
  cause?: unknown,
  signal?: AbortSignal,
): Promise<GodwitError> {
  const until = performance.now() + (owner.endsMs ?? ENDS_MS);
  for (;;) {
    const life = owner.process?.life();
    if (life?.state === 'gone') return lost(owner, `${reason}; ${life.reason}`, cause);
    if (life === undefined || performance.now() > until) {
      const doubt = life?.state === 'unknown' ? `; ${life.reason}` : '';
      return unreachable(owner, `${reason}${doubt}`, cause);
    }
    await systemClock.sleep(POLL_MS, signal);
  }
}

export function unreachable(
  { side, guest }: MonitorOwner,
  reason: string,
  cause?: unknown,
): GodwitError {
  return godwitError('GODWIT_MONITOR_UNREACHABLE', { side, guest, reason }, { cause });
}

function lost({ side, guest }: MonitorOwner, reason: string, cause: unknown): GodwitError {
  return godwitError('GODWIT_HYPERVISOR_LOST', { side, guest, reason }, { cause });
}
