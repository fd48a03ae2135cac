import type { Whereabouts } from '../../migration/managed/task-sight.ts';
import type { GuestRunState } from '../../protocol/public/hosts/host.ts';

/** Where a virtual machine is, by what the hosts at both ends say of it. Pure. */

/** Msvm_ComputerSystem.EnabledState. */
const ENABLED = { enabled: 2, disabled: 3, shuttingDown: 4, offline: 6, paused: 9, starting: 10 };

/** What one host says: the state of the machine that it has, `absent`, or nothing. */
export type Sight = { readonly enabled: number } | 'absent' | 'silent';
/** `has`: the guest is there. `other`: its machine is there, and does not run. */
type Presence = 'has' | 'other' | 'absent' | 'silent';

function presence(sight: Sight): Presence {
  if (typeof sight === 'string') return sight;
  const { enabled } = sight;
  const isThere = [ENABLED.enabled, ENABLED.paused, ENABLED.shuttingDown].includes(enabled);
  return isThere ? 'has' : 'other';
}

/** A host that is silent proves nothing; neither does a machine that runs on both, or on none. */
export function whereabouts(
  source: Sight,
  destination: Sight,
  isMigrating: boolean | undefined,
): Whereabouts {
  const [from, to] = [presence(source), presence(destination)];
  const busy = isMigrating === true || (from === 'has' && to === 'has');
  const known = isMigrating === undefined && !busy ? {} : { busy };
  if (from === 'has' && to !== 'has') return { at: 'source', ...known };
  if (to === 'has' && from !== 'has') return { at: 'destination', ...known };
  return { at: 'unknown', ...known };
}

/** As Get-VM says it, and Godwit's lists. */
export function runState(state: string): GuestRunState {
  switch (state.toLowerCase()) {
    case 'running':
      return 'running';
    case 'paused':
      return 'paused';
    case 'off':
    case 'saved':
    case 'stopping':
    case 'stopped':
      return 'stopped';
    default:
      return 'unknown';
  }
}
