import { godwitError, type SerialError } from '../../../errors.ts';
import { sourceRightAfter } from '../run-right.ts';
import type { MemorySample } from '../../../protocol/public/migration.ts';
import { formatBytes, formatDuration, formatRate } from '../../../protocol/quantity.ts';
import { OTHER_HOURS, type Limits } from '../../steering/fixes.ts';
import { SAID_MS } from '../../steering/standstill.ts';
import type { SourceEffect, SourceState, StepFacts, TimeOver, Transition } from './source-state.ts';
import {
  isLeftOut,
  LAST_REHEARSED,
  STEPS,
  nextStep,
  stepIndex,
  undoAtOrBefore,
  undoBefore,
  type StepName,
  type UndoneStep,
} from './steps.ts';

/** Errors of `switchover` which prove that the order to switch had no effect. */
export const NEVER_SWITCHED: ReadonlySet<string> = new Set([
  'GODWIT_STREAM_FAILED',
  'GODWIT_HYPERVISOR_LOST',
  'GODWIT_DISK_FAILED',
  'GODWIT_GUEST_CHANGED',
  'GODWIT_GUEST_HALTED',
  'GODWIT_GUEST_ENDED',
]);

export function stay(state: SourceState): Transition {
  return { state, effects: [] };
}

export function know(state: SourceState, facts: StepFacts): Transition {
  return stay({ ...state, known: { ...state.known, ...facts } });
}

/**
 * Enters a step, or turns a rehearsal round after its last. `arm` and `commit` move the right to run in the same
 * record.
 */
export function enter(state: SourceState, step: StepName): Transition {
  if (isRehearsal(state) && !STEPS[step].rehearsed) {
    const next = nextStep(step);
    const isOver = next === undefined || stepIndex(step) > stepIndex(LAST_REHEARSED);
    return isOver ? turnRound(state) : enter(state, next);
  }
  const after = isLeftOut(step, state) ? nextStep(step) : undefined;
  if (after !== undefined) return enter(state, after);
  const { moves } = STEPS[step];
  const right = (moves && sourceRightAfter(state.right, moves)) ?? state.right;
  const { disks, ...rest } = state;
  // Progress of backing files is not progress of the copies.
  const kept = disks === undefined || step === 'mirror' ? {} : { disks };
  const next: SourceState = { ...rest, ...kept, right, attempts: 0, doing: { kind: 'do', step } };
  const effects: SourceEffect[] = [{ type: 'do', step }];
  const streams = step === 'drain' || (step === 'commit' && state.via === 'postcopy');
  if (streams && state.stream === 'paused') effects.push({ type: 'recover' });
  return { state: next, effects };
}

function isRehearsal({ plan }: SourceState): boolean {
  return plan.settings.rehearse === true;
}

/** A rehearsal ends here and is undone like a cancelled migration. */
function turnRound(state: SourceState): Transition {
  const cameTo = state.via === 'postcopy' ? 'postcopy' : 'precopy';
  return beginUndo({ ...state, via: 'none', cameTo }, LAST_REHEARSED);
}

/** Undoes `step`, which may be half done, and then the steps before it. */
export function beginUndo(state: SourceState, step: StepName, because?: SerialError): Transition {
  return finishUndo(because === undefined ? state : { ...state, because }, undoAtOrBefore(step));
}

export function finishUndo(state: SourceState, step: UndoneStep | undefined): Transition {
  if (step !== undefined && isLeftOut(step, state)) return finishUndo(state, undoBefore(step));
  if (step !== undefined) {
    return {
      state: { ...state, attempts: 0, doing: { kind: 'undo', step } },
      effects: [{ type: 'undo', step }],
    };
  }
  if (state.unsure) {
    const why = state.leftovers.at(0)?.message ?? 'its stream could not be taken back';
    const reason = `it may be paused at ${state.plan.from}: ${why}`;
    return hold(state, godwitError('GODWIT_HELD', { guest: state.plan.guest, reason }).toJSON());
  }
  return undone(state);
}

function undone(state: SourceState): Transition {
  const { cameTo, leftovers, cancelled } = state;
  // A rehearsal guarantees that nothing stays behind.
  const because = state.because ?? (cameTo === undefined ? undefined : leftovers.at(0));
  const isAsItWas = cameTo !== undefined && because === undefined;
  const back = cancelled ? 'cancelled' : 'failed';
  const outcome = isAsItWas ? 'rehearsed' : back;
  return {
    state: { ...state, because, doing: { kind: 'end', outcome } },
    effects: [{ type: 'end', outcome }],
  };
}

/** Stops and reports why, because each way would be a guess. Changes nothing. */
export function hold(state: SourceState, error: SerialError): Transition {
  const held =
    error.code === 'GODWIT_HELD'
      ? error
      : godwitError('GODWIT_HELD', { guest: state.plan.guest, reason: error.message }).toJSON();
  const next: SourceState = { ...state, because: held, doing: { kind: 'end', outcome: 'held' } };
  return { state: next, effects: [{ type: 'end', outcome: 'held' }] };
}

export function giveUp(state: SourceState, because: SerialError): Transition {
  const next: SourceState = { ...state, because, doing: { kind: 'give-up' } };
  return { state: next, effects: [{ type: 'give-up' }] };
}

/** `error`: the copy here could not be ended. */
export function afterGivingUp(state: SourceState, error?: SerialError): Transition {
  if (state.doing.kind !== 'give-up') return stay(state);
  if (error !== undefined) return hold(state, error);
  const next: SourceState = { ...state, doing: { kind: 'end', outcome: 'failed' } };
  return { state: next, effects: [{ type: 'end', outcome: 'failed' }] };
}

export function lost(state: SourceState, reason: string): Transition {
  const because = godwitError('GODWIT_LOST', { guest: state.plan.guest, reason }).toJSON();
  return lostBecause(state, because);
}

/** Ends the migration, or first restarts the guest if requested and possible. */
export function lostBecause(state: SourceState, because: SerialError): Transition {
  const { copies = [], launch } = state.known;
  // The images here lack the writes that the guest made at the destination.
  const isCurrent = copies.length === 0;
  if (state.plan.settings.onLost === 'restart' && launch !== undefined && isCurrent) {
    const next: SourceState = { ...state, because, doing: { kind: 'restart' } };
    return { state: next, effects: [{ type: 'restart' }] };
  }
  return endLost({ ...state, because });
}

function endLost(state: SourceState): Transition {
  const next: SourceState = { ...state, doing: { kind: 'end', outcome: 'lost' } };
  return { state: next, effects: [{ type: 'end', outcome: 'lost' }] };
}

export function afterRestart(state: SourceState, what: Partial<SourceState>): Transition {
  return state.doing.kind === 'restart' ? endLost({ ...state, ...what }) : stay(state);
}

/** Timeout with the figures of memory. The last look is more recent than the journal. */
export function timeoutError(
  state: SourceState,
  step: StepName,
  { afterMs, stillMs = 0, sample = state.sample }: TimeOver,
): SerialError {
  const { stopped } = state;
  if (step !== 'memory' || sample === undefined || stopped) {
    const what = stopped && step === 'memory' ? 'the stop for the switchover' : `step ${step}`;
    return godwitError('GODWIT_DEADLINE', { what, deadlineMs: afterMs }).toJSON();
  }
  const { guest, from, to, settings } = state.plan;
  const allowed = formatDuration(settings.timeoutMs);
  if (stillMs >= SAID_MS) {
    const still = formatDuration(stillMs);
    return godwitError('GODWIT_LINK_STILL', { guest, from, to, still, allowed }).toJSON();
  }
  const facts = { guest, allowed, why: slowWords(sample) };
  const limits = { ...settings, isOfHours: (state.capped?.now ?? 0) > 0 };
  return godwitError('GODWIT_NOT_CONVERGED', facts, { hint: slowHint(limits, sample) }).toJSON();
}

/** The dirty rate is unknown before the first round ends. */
const isFirstRound = ({ round }: Pick<MemorySample, 'round'>): boolean => round <= 1;

function slowWords(sample: MemorySample): string {
  const { dirtyRate, rate, remainingBytes, totalBytes } = sample;
  const takes = `the link takes ${formatRate(rate)}`;
  if (!isFirstRound(sample)) return `it dirties ${formatRate(dirtyRate)}, and ${takes}`;
  const left = `${formatBytes(remainingBytes)} of ${formatBytes(totalBytes)}`;
  return `its first round was not over, ${left} were left, and ${takes}`;
}

function slowHint(
  { mode, maxBandwidth, isOfHours = false }: Limits,
  sample: Pick<MemorySample, 'dirtyRate' | 'rate' | 'round'>,
): string {
  const { dirtyRate, rate } = sample;
  // Hybrid changes to post-copy after the first round at the earliest.
  const helps = isFirstRound(sample) ? 'postcopy' : 'hybrid';
  const more = maxBandwidth === undefined ? 'a faster link' : 'a higher --max-bandwidth';
  const ways = [
    ...(mode === 'precopy' || (mode === 'hybrid' && helps === 'postcopy')
      ? [`--mode ${helps}`]
      : []),
    ...(mode === 'precopy' && dirtyRate >= rate ? ['a higher --max-downtime'] : []),
    isOfHours ? OTHER_HOURS : more,
    'more time (--give-up-after)',
  ];
  return `Use ${ways.slice(0, -1).join(', ')} or ${ways.at(-1) ?? ''}.`;
}
