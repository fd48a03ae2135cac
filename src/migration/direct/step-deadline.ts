import { DEFAULT_LINK_GRACE_MS } from '../../protocol/public/migration.ts';
import type { SourceState } from './source-state.ts';
import { STEPS } from './steps.ts';
import type { StepName } from './steps.ts';

/** ms that a step may take; the whole migration’s time where the table says so. Pure. */
export function deadlineOf(
  step: StepName,
  { plan, via, known }: Pick<SourceState, 'plan' | 'via' | 'known'>,
): number {
  const { settings } = plan;
  const { deadline } = STEPS[step];
  if (deadline === 'timeout') return settings.timeoutMs;
  // Comparing has a deadline of its own within it.
  if (step === 'retire' && settings.verifyDisks === true) return settings.timeoutMs + deadline;
  // There is no way back from it but the destination's word, and a cut of the links mends by itself. In pre-copy the
  // guest can be run here instead.
  if (step === 'switchover' && via === 'postcopy' && known.wire !== undefined) {
    return deadline + (settings.linkGraceMs ?? DEFAULT_LINK_GRACE_MS);
  }
  return deadline;
}
