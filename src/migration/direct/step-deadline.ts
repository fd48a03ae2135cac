import { DEFAULT_LINK_GRACE_MS } from '../../protocol/public/migration.ts';
import { isCold } from './cold.ts';
import type { SourceState } from './source-state.ts';
import { MAX_NOTICE_MS, MAX_QUIET_MS, MAX_WAIT_MS } from '../preflight/limits.ts';
import { STEPS, type StepName } from './steps.ts';

/**
 * The kernel gives the memory of a process that ends back page by page: 0.4 to 0.5 s for each GiB of small pages were
 * measured on a busy machine of two processors.
 */
const ENDING_MS_PER_GIB = 1000;

/** A step that waits for a requested moment looks at the clock at least this often, ms. */
const WAKES_MS = 60_000;

/** Besides the end of a guest's process, ms. */
const UNDO_MS = 110_000;
const RESTART_MS = 180_000;

/** ms that a process with so much memory may take to end, more than one with none. */
export function endingMs(memoryBytes: number): number {
  return Math.ceil((memoryBytes / 1024 ** 3) * ENDING_MS_PER_GIB);
}

/** The same for a process with the memory of the guest that a migration is about. */
export function guestEndingMs({ known }: Pick<SourceState, 'known'>): number {
  return endingMs(known.description?.memoryBytes ?? 0);
}

/** ms that a step may take; the whole migration’s time where the table says so. Pure. */
export function deadlineOf(
  step: StepName,
  state: Pick<SourceState, 'plan' | 'via' | 'known'>,
): number {
  const { plan, via, known } = state;
  const { settings } = plan;
  const { deadline } = STEPS[step];
  // A guest takes its own time to shut down.
  const isShutdown = step === 'switchover' && isCold(state);
  if (deadline === 'timeout' || isShutdown) return settings.timeoutMs;
  if (deadline === 'asked') return MAX_WAIT_MS + MAX_NOTICE_MS + MAX_QUIET_MS + WAKES_MS;
  if (step === 'retire') {
    // Comparing has a deadline of its own within it.
    const comparing = settings.verifyDisks === true ? settings.timeoutMs : 0;
    return deadline + comparing + guestEndingMs(state);
  }
  // There is no way back from it but the destination's refusal, and a cut of the links ends by itself. In pre-copy the
  // guest can be run here instead.
  if (step === 'switchover' && via === 'postcopy' && known.wire !== undefined) {
    return deadline + (settings.linkGraceMs ?? DEFAULT_LINK_GRACE_MS);
  }
  if (step === 'commit') return deadline + (known.resumesMs ?? 0);
  return step === 'switchover' ? deadline + (known.handsOverMs ?? 0) : deadline;
}

/** ms that undoing one step may take: long enough for the destination's refusal, or the proof that it is off. */
export function undoMs(state: Pick<SourceState, 'known'>): number {
  return UNDO_MS + guestEndingMs(state);
}

/** ms that starting the guest anew may take; both its copies are ended first, one after the other. */
export function restartMs(state: Pick<SourceState, 'known'>): number {
  return RESTART_MS + 2 * guestEndingMs(state);
}
