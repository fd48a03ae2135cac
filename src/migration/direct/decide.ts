import type { HypervisorStatus } from './hypervisor.ts';
import type { SourceState } from './source-state.ts';
import { holdsSwitchover } from '../steering/steering.ts';

/** What a mover has to do of a step that the hypervisor carries out. */
export type StepAction =
  | 'start-memory'
  | 'start-postcopy'
  | 'continue-switchover'
  /** It is under way, or done: the hypervisor's events report how it goes on. */
  | 'wait'
  /** It ended while no mover listened: no event will come. */
  | 'broken';

/**
 * What to do in `memory` and `switchover`, from the journal's state and the stream as it is observed. `seen` is absent
 * for the mover that has just brought the migration to this step: it knows where the stream stands. A mover that took
 * over a half-done step asks first, and does what is left of it.
 */
export function decide(
  state: SourceState,
  step: 'memory' | 'switchover',
  seen?: HypervisorStatus['stream'],
): StepAction {
  const stream = seen ?? (step === 'memory' ? 'none' : streamAtSwitch(state));
  if (seen === 'failed' || seen === 'cancelled') return 'broken';
  if (step === 'memory') return stream === 'none' ? 'start-memory' : 'wait';
  if (stream === 'pre-switchover') return 'continue-switchover';
  return state.via === 'postcopy' && stream === 'active' ? 'start-postcopy' : 'wait';
}

/** What brought the mover that began it to the step `switchover`. */
function streamAtSwitch({ via, plan, known }: SourceState): HypervisorStatus['stream'] {
  if (via === 'postcopy') return 'active';
  return holdsSwitchover(plan.settings, known) ? 'pre-switchover' : 'device';
}
