import type { HypervisorStatus } from '../hypervisor.ts';
import type { SourceState } from './source-state.ts';
import { holdsSwitchover } from '../../steering/steering.ts';

export type StepAction =
  | 'start-memory'
  | 'start-postcopy'
  | 'continue-switchover'
  /** In progress or done; the hypervisor's events follow. */
  | 'wait'
  /** It ended before this mover listened, so no event will come. */
  | 'broken';

/**
 * Action for `memory` and `switchover`, from the journal and the observed stream. A mover that takes over a half-done
 * step passes the stream in `seen`; the mover that began the step knows its state.
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

/** Expected stream for a mover that has just entered `switchover`. */
function streamAtSwitch({ via, plan, known }: SourceState): HypervisorStatus['stream'] {
  if (via === 'postcopy') return 'active';
  return holdsSwitchover(plan.settings, known) ? 'pre-switchover' : 'device';
}
