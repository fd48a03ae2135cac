import { DEFAULT_LINK_GRACE_MS } from '../../protocol/public/migration.ts';
import type { SourceState } from './source-state.ts';
import { STEPS } from './steps.ts';
import type { StepName } from './steps.ts';

/**
 * The kernel gives the memory of a process that ends back page by page: 0.4 to 0.5 s for each GiB of small pages were
 * measured on a busy machine of two processors.
 */
const ENDING_MS_PER_GIB = 1000;

/** ms that a process with so much memory may take to end, more than one with none. */
export function endingMs(memoryBytes: number): number {
  return Math.ceil((memoryBytes / 1024 ** 3) * ENDING_MS_PER_GIB);
}

/** ms that a step may take; the whole migration’s time where the table says so. Pure. */
export function deadlineOf(
  step: StepName,
  { plan, via, known }: Pick<SourceState, 'plan' | 'via' | 'known'>,
): number {
  const { settings } = plan;
  const { deadline } = STEPS[step];
  if (deadline === 'timeout') return settings.timeoutMs;
  if (step === 'retire') {
    // Comparing has a deadline of its own within it.
    const comparing = settings.verifyDisks === true ? settings.timeoutMs : 0;
    return deadline + comparing + endingMs(known.description?.memoryBytes ?? 0);
  }
  // There is no way back from it but the destination's word, and a cut of the links mends by itself. In pre-copy the
  // guest can be run here instead.
  if (step === 'switchover' && via === 'postcopy' && known.wire !== undefined) {
    return deadline + (settings.linkGraceMs ?? DEFAULT_LINK_GRACE_MS);
  }
  return deadline;
}
