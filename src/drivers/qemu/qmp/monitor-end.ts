import { systemClock } from '../../../clock.ts';
import { godwitError, type GodwitError } from '../../../errors.ts';
import type { Life } from '../../../system/processes/life.ts';

export interface MonitorOwner {
  readonly host: string;
  readonly guest: string;
  readonly side: 'source' | 'destination';
  /** Absent if the process is unknown: its end is then never concluded. */
  readonly process?: MonitorProcess;
  /** Time that the process may take to end after its monitor closed, ms; default ENDS_MS. */
  readonly endsMs?: number;
}

export interface MonitorProcess {
  life(): Life;
  isEnding(): boolean;
}

/** QEMU closes its monitor before the kernel has freed its memory, ms. */
export const ENDS_MS = 5000;
const POLL_MS = 5;

/**
 * A closed connection does not prove the end of the process: a QEMU that runs its guest may also refuse, close
 * or garble its socket. Returns GODWIT_HYPERVISOR_LOST if the kernel reports the process gone within the owner's
 * `endsMs`; otherwise GODWIT_MONITOR_UNREACHABLE, because the guest may run.
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
