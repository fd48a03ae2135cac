import { godwitError, type SerialError } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { DestinationState } from './destination.ts';
import type { SourceState } from './source-state.ts';
import { STEPS, stepIndex, type Step, type StepName } from './steps.ts';

/** What a cold move does otherwise: the guest shuts itself down, no memory moves, and it is started at its destination. */

export function isCold({ plan }: Pick<SourceState, 'plan'>): boolean {
  return plan.settings.mode === 'cold';
}

/** The same, as the destination knows it. */
export function comesCold({ admission }: Pick<DestinationState, 'admission'>): boolean {
  return admission.settings?.mode === 'cold';
}

/** It was committed here and has not run: between the end of one hypervisor and the start of the next there is none. */
export function isToBeStarted(state: DestinationState): boolean {
  return comesCold(state) && state.right === 'running' && !state.hasRun;
}

/** What only a stream of memory needs. */
const OF_STREAM: ReadonlySet<StepName> = new Set([
  'configure',
  'unplug',
  'balloon',
  'memory',
  'drain',
]);

/** A cold move does none of it, and has none of it to undo. */
export function isOfStream(step: StepName): boolean {
  return OF_STREAM.has(step);
}

/** How a step ends. A cold move has no stream whose events would end its `switchover`. */
export function endsBy(step: StepName, state: Pick<SourceState, 'plan'>): Step['endsBy'] {
  return isCold(state) ? 'handler' : STEPS[step].endsBy;
}

/** The step may take no longer than what is left of the time for all of them. A guest takes its own time to shut down. */
export function isLimited(step: StepName, state: Pick<SourceState, 'plan'>): boolean {
  const last = isCold(state) ? 'switchover' : 'memory';
  return step !== 'wait' && stepIndex(step) <= stepIndex(last);
}

/** Why `switchover` failed; in its own words where its time was over before the guest had gone down. */
export function shutdownIgnored(
  state: SourceState,
  step: StepName,
  error: SerialError,
): SerialError {
  const waited = isCold(state) && step === 'switchover' && !state.stopped;
  if (!waited || error.code !== 'GODWIT_DEADLINE') return error;
  const deadlineMs = Number(error.facts?.['deadlineMs'] ?? 0);
  return godwitError('GODWIT_NOT_SHUT_DOWN', { guest: state.plan.guest, deadlineMs }).toJSON();
}

/**
 * Undoing this step is what takes the guest back in the end. A stream leaves nothing to take back where its hypervisor has
 * ended; a guest that had shut down is started anew then.
 */
export function takesBack(step: StepName, state: SourceState, error: SerialError): boolean {
  if (isCold(state)) return step === 'switchover';
  return step === 'memory' && error.code !== 'GODWIT_HYPERVISOR_LOST';
}

/** What only speaks against sending the memory of a guest. */
const OF_MEMORY: ReadonlySet<string> = new Set([
  'blocked',
  'dirty-tracking',
  'inner-guests',
  'free-pages',
]);

/** The checks of a guest that count for its move: a cold one is not refused for what its memory could not be sent with. */
export function countedChecks<T extends Pick<Check, 'name'>>(
  checks: readonly T[],
  state: Pick<SourceState, 'plan'>,
): readonly T[] {
  return isCold(state) ? checks.filter(({ name }) => !OF_MEMORY.has(name)) : checks;
}
