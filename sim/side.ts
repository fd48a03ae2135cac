import { godwitError } from '../src/errors.ts';
import { phaseOf } from '../src/migration/direct/source-state.ts';
import type { SideView } from '../src/protocol/public/resolve.ts';
import type { SimStore } from './store.ts';

/** What the source's agent reports to the destination of its side, from the journal, as `Sides` in agent/ does. */
export function sourceSide(store: SimStore, id: string, moverAlive: boolean): SideView {
  const state = store.read(id).source;
  if (state === undefined) throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id, host: 'a' });
  const { plan, right, stream, via, because } = state;
  return {
    id,
    guest: plan.guest,
    host: plan.from,
    side: 'source',
    epoch: plan.epoch,
    phase: phaseOf(state),
    right,
    hypervisor: 'unknown',
    complete: stream === 'done',
    postcopy: via === 'postcopy',
    unsure: false,
    moverAlive,
    ...(because === undefined ? {} : { error: because }),
  };
}
