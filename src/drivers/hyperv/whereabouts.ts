import type { Whereabouts } from '../../migration/managed/task-sight.ts';
import type { GuestRunState } from '../../protocol/public/hosts/host.ts';

/** Place of a virtual machine, from both hosts' reports. Pure. */

/** Msvm_ComputerSystem.EnabledState. */
const ENABLED = { enabled: 2, disabled: 3, shuttingDown: 4, offline: 6, paused: 9, starting: 10 };

/** Report of one host: its machine's state, `absent`, or silence. */
export type Sight = { readonly enabled: number } | 'absent' | 'silent';
/** `has`: the guest is there. `other`: its machine is there but does not run. */
type Presence = 'has' | 'other' | 'absent' | 'silent';

function presence(sight: Sight): Presence {
  if (typeof sight === 'string') return sight;
  const { enabled } = sight;
  const isThere = [ENABLED.enabled, ENABLED.paused, ENABLED.shuttingDown].includes(enabled);
  return isThere ? 'has' : 'other';
}

/** A silent host proves nothing; neither does a machine that runs on both hosts or on none. */
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
