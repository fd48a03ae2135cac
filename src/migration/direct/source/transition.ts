import { godwitError, type SerialError } from '../../../errors.ts';
import type { Check, EndPhase } from '../../../protocol/public/migration.ts';
import { haltError } from '../../guest-changes/errors.ts';
import { onHypervisor } from './hypervisor-transition.ts';
import {
  afterGivingUp,
  afterRestart,
  beginUndo,
  enter,
  finishUndo,
  giveUp,
  hold,
  know,
  lost,
  lostBecause,
  NEVER_SWITCHED,
  stay,
  timeoutError,
} from './state-changes.ts';
import { onFenced, onResolved } from './resolve.ts';
import { measured, onSteered, steeringAnew } from './steered.ts';
import { sourceRightAfter } from '../run-right.ts';
import { isCold } from '../cold.ts';
import type { SourceEvent, SourceState, StepFacts, Transition } from './source-state.ts';
import {
  endsBy,
  isBeforeNoReturn,
  nextStep,
  undoBefore,
  type StepName,
  type UndoneStep,
} from './steps.ts';
import { MAX_ATTEMPTS } from '../../engine/rows.ts';

const ELSEWHERE = 'GODWIT_RUNS_ELSEWHERE';

/**
 * The source's behaviour: the effect of each event in each state. Pure. The mover journals the event, synced as
 * `durability` requires, before it carries out the effects.
 */
export function transition(state: SourceState, event: SourceEvent): Transition {
  switch (event.type) {
    case 'planned':
    case 'wire':
    case 'disk-link':
      return stay(state);
    case 'did':
      return did(state, event.step, event.facts);
    case 'failed':
      return failed(withChecks(state, event.checks), event.step, event.error);
    case 'undid':
      return undid(state, event.step, event.anew === true);
    case 'undo-failed':
      return undoFailed(state, event.step, event.error);
    case 'hypervisor':
      return onHypervisor(state, event.event);
    case 'measured':
      return measured(state, event.sample, event.final);
    case 'copied':
      return stay({ ...state, disks: event.disks, diskPace: event.pace });
    case 'compared':
      return know(state, { diskCheck: event.check });
    case 'latency':
      return know(state, { diskLatency: event.disks });
    case 'inflating':
      return know(state, { inflatedFrom: event.fromBytes });
    case 'capped':
    case 'decided':
    case 'unset':
      return onSteered(state, event);
    case 'destination-lost':
      return destinationLost(state, event.error);
    case 'stalled':
      return isDoing(state, 'drain') ? { state, effects: [{ type: 'recover' }] } : stay(state);
    case 'flows':
      return event.over === undefined ? stay(state) : know(state, { streamOver: event.over });
    case 'recovery-failed':
      return isDoing(state, 'drain') ? hold(state, event.error) : stay(state);
    case 'cancel':
      return cancel(state);
    case 'timeout':
      return timeout(state, event);
    case 'taken-over':
      return takenOver(state, event.rebooted === true);
    case 'resolved':
      return onResolved(state, event);
    case 'fenced':
      return onFenced(state, event);
    case 'restarted':
      return afterRestart(state, { restarted: true });
    case 'restart-failed':
      return afterRestart(state, { leftovers: [...state.leftovers, event.error] });
    case 'gave-up':
      return afterGivingUp(state);
    case 'give-up-failed':
      return afterGivingUp(state, event.error);
  }
}

function takenOver(state: SourceState, rebooted: boolean): Transition {
  // Records of the blackout are not synced, so after a reboot a commit may have been sent.
  const mayHaveSent = rebooted && state.right === 'armed';
  const right = (mayHaveSent && sourceRightAfter('armed', 'commit')) || state.right;
  return { state: { ...state, right, attempts: 0 }, effects: effectsOf(state) };
}

/** Effects for a mover that takes over; each may be repeated. */
export function effectsOf(state: SourceState): Transition['effects'] {
  switch (state.doing.kind) {
    case 'do':
      return [{ type: 'do', step: state.doing.step }, ...steeringAnew(state)];
    case 'undo':
      return [{ type: 'undo', step: state.doing.step }];
    case 'restart':
      return [{ type: 'restart' }];
    case 'give-up':
      return [{ type: 'give-up' }];
    case 'end':
      return [{ type: 'end', outcome: state.doing.outcome }];
  }
}

/**
 * True if a cancel now would be obeyed. Post-copy's switchover already counts as the point of no return: once the
 * destination has the device state, the source cannot run the guest.
 */
export function canCancel(state: SourceState): boolean {
  if (state.doing.kind !== 'do') return false;
  if (state.doing.step === 'switchover' && state.via === 'postcopy') return false;
  return isBeforeNoReturn(state.doing.step);
}

function did(state: SourceState, step: StepName, facts: StepFacts): Transition {
  if (!isDoing(state, step)) return stay(state);
  const known = { ...state.known, ...facts, checks: state.known.checks ?? [] };
  const next = withChecks({ ...state, known, attempts: 0 }, facts.checks);
  if (endsBy(step, state) === 'event') return stay(next);
  // The guest has shut down, even if its event was missed.
  if (step === 'switchover') return enter({ ...next, stopped: true }, 'commit');
  if (step === 'commit') {
    return enter(
      { ...next, right: sourceRightAfter(state.right, 'running') ?? state.right },
      'drain',
    );
  }
  return advance(next, step);
}

function withChecks(state: SourceState, checks: readonly Check[] | undefined): SourceState {
  if (checks === undefined) return state;
  return {
    ...state,
    known: { ...state.known, checks: [...(state.known.checks ?? []), ...checks] },
  };
}

function advance(state: SourceState, step: StepName): Transition {
  const next = nextStep(step);
  if (next === undefined) return end(state, 'done');
  const entered = enter(state, next);
  // A guest that its owner stopped does not shut down, and its undo would wait for that.
  const isStopped = isCold(state) && isDoing(entered.state, 'switchover');
  if (!isStopped || state.halted === undefined) return entered;
  return beginUndo(state, step, haltError(state.plan.guest, state.halted));
}

function failed(state: SourceState, step: StepName, error: SerialError): Transition {
  if (!isDoing(state, step)) return stay(state);
  // The order to switch may have taken effect; then only the way forward is left.
  const mayBeUnderWay = step === 'switchover' && state.via === 'postcopy';
  if (mayBeUnderWay && !NEVER_SWITCHED.has(error.code)) {
    return again(state, step) ?? beginUndo(state, step, error);
  }
  if (isBeforeNoReturn(step)) return beginUndo(state, step, shutdownIgnored(state, step, error));
  if (step === 'commit') return commitFailed(state, error);
  if (error.code === 'GODWIT_LOST') return lostBecause(state, error);
  const retry = again(state, step);
  if (retry !== undefined) return retry;
  // The guest runs at the destination; the report lists what could not be cleaned up.
  if (step === 'retire' || step === 'finish') {
    return advance({ ...state, attempts: 0, leftovers: [...state.leftovers, error] }, step);
  }
  return hold(state, error);
}

/** Repeats a step past the point of no return; undefined after the last attempt. */
function again(state: SourceState, step: StepName): Transition | undefined {
  const attempts = state.attempts + 1;
  if (attempts >= MAX_ATTEMPTS) return undefined;
  return { state: { ...state, attempts }, effects: [{ type: 'do', step }] };
}

/**
 * A refusal confirms that the destination never ran the guest, and is the only way back from commit. Other failures
 * are tried again, except silence, which has been waited out.
 */
function commitFailed(state: SourceState, error: SerialError): Transition {
  if (error.code === ELSEWHERE) return giveUp(state, error);
  if (error.code !== 'GODWIT_NOT_ARMED') {
    const final = ['GODWIT_HELD', 'GODWIT_DEADLINE', 'GODWIT_UNREACHABLE'].includes(error.code);
    if (final) return hold(state, error);
    // After the switchover to post-copy neither side is whole, so an end of the destination's hypervisor loses the
    // guest.
    const end =
      isGone(error) && state.via === 'postcopy' ? lost(state, error.message) : hold(state, error);
    return again(state, 'commit') ?? end;
  }
  const refused = { ...state, right: sourceRightAfter(state.right, 'refused') ?? state.right };
  return beginUndo(refused, 'switchover', error);
}

function undid(state: SourceState, step: StepName, anew: boolean): Transition {
  if (!isUndoing(state, step)) return stay(state);
  // A record of an earlier build lacks `anew`, but the guest was taken back as well.
  if (isCold(state) && step === 'switchover' && (anew || state.stream === 'lost')) {
    const { halted: _, ...rest } = state;
    const next = { ...rest, stream: 'none', stopped: false, startedAnew: true } as const;
    return finishUndo(next, undoBefore(step));
  }
  // The undo leaves the guest running here, even if its event was missed.
  const regained = step === 'memory' || step === 'switchover';
  const next = regained && state.stream !== 'lost' ? { ...state, stopped: false } : state;
  return finishUndo(settled(next, step), undoBefore(step));
}

function undoFailed(state: SourceState, step: StepName, error: SerialError): Transition {
  if (!isUndoing(state, step)) return stay(state);
  // NOT_ARMED in answer to a refusal or a release means that the destination ran the guest. A destination that is
  // known to be gone is overruled if it returns.
  const isElsewhere = state.because?.code === ELSEWHERE;
  const decides =
    !isElsewhere && (error.code === 'GODWIT_NOT_ARMED' || needsRefusal(state, step, error));
  if (decides && state.decision.proof === 'none') {
    const isLost = state.via === 'postcopy' && isGone(state.because);
    return isLost && error.code === 'GODWIT_HELD' ? lost(state, error.message) : hold(state, error);
  }
  // A third host has the guest, so nothing is started here and the rest is cleanup. Memory that is still here is not
  // given up on the word of one host; an operator decides.
  if (error.code === ELSEWHERE) {
    if (!isCold(state)) return hold(state, error);
    return finishUndo(settled({ ...state, because: error }, step), undoBefore(step));
  }
  const next = settled({ ...state, leftovers: [...state.leftovers, error] }, step);
  // If the stream cannot be undone, the guest may be paused here. Nothing was committed, so the rest of the undo is
  // safe, but the end must not claim that the source runs.
  const isStream = takesBack(step, state, error);
  // The undo is repeated as well if the guest would be left with less memory.
  if (isStream || step === 'balloon') {
    if (state.attempts + 1 < MAX_ATTEMPTS) {
      return {
        state: { ...state, attempts: state.attempts + 1 },
        effects: [{ type: 'undo', step }],
      };
    }
    if (isStream) return finishUndo({ ...next, unsure: true }, undoBefore(step));
  }
  return finishUndo(next, undoBefore(step));
}

function needsRefusal(state: SourceState, step: StepName, error: SerialError): boolean {
  if (step === 'arm') return state.right === 'committing';
  return error.code === 'GODWIT_HELD';
}

/**
 * Undoing `arm` closes the epoch even without a refusal, since this side sends no commit any more. If one may have
 * been sent, only a refusal closes it.
 */
function settled(state: SourceState, step: StepName): SourceState {
  if (step !== 'arm') return state;
  // If a third host has the guest, the epoch stays open; a destination that ran the guest would otherwise end its
  // copy.
  if (state.because?.code === ELSEWHERE && state.right === 'committing') return state;
  const closes = state.right === 'committing' ? 'refused' : 'abandon';
  return { ...state, right: sourceRightAfter(state.right, closes) ?? state.right };
}

/** The destination itself reports the end of its copy; silence is not a report. */
function isGone(error: SerialError | undefined): boolean {
  return error?.code === 'GODWIT_HYPERVISOR_LOST' && error.facts?.['side'] === 'destination';
}

function destinationLost(state: SourceState, error: SerialError): Transition {
  if (state.doing.kind !== 'do') return stay(state);
  const { step } = state.doing;
  if (step === 'commit') return stay(state); // the destination's own answer decides
  if (isBeforeNoReturn(step)) {
    // During post-copy's switchover, the destination's silence proves nothing: the source's hypervisor knows whether
    // it still has the guest.
    const mayBeUnderWay = step === 'switchover' && state.via === 'postcopy';
    return mayBeUnderWay && !isGone(error) ? stay(state) : beginUndo(state, step, error);
  }
  // It ran there until it ended, so no memory is missing.
  if (step === 'drain' && error.code === 'GODWIT_GUEST_ENDED') return enter(state, 'verify');
  return step === 'drain' || step === 'verify' ? lost(state, error.message) : stay(state);
}

function cancel(state: SourceState): Transition {
  if (state.doing.kind !== 'do' || !canCancel(state)) return stay(state);
  const { guest, from } = state.plan;
  const error = godwitError('GODWIT_CANCELLED', { guest, host: from }).toJSON();
  return beginUndo({ ...state, cancelled: true }, state.doing.step, error);
}

function timeout(state: SourceState, event: SourceEvent & { type: 'timeout' }): Transition {
  if (state.doing.kind !== 'do') return stay(state);
  const { step } = state.doing;
  // The guest runs at its destination, and its memory flows or its stream is being resumed under a separate deadline.
  if (step === 'drain' && (state.stream === 'active' || state.stream === 'paused')) {
    return { state, effects: [{ type: 'do', step }] };
  }
  // If post-copy's switchover hangs, either side may hold the device state. While the guest still runs here, the
  // switchover has not begun.
  const hangs = step === 'switchover' && state.via === 'postcopy' && state.stopped;
  if (step === 'drain' || hangs) {
    const what = step === 'drain' ? 'post-copy of the rest of memory' : 'the switch to post-copy';
    const facts = { what, deadlineMs: event.afterMs };
    return hold(state, godwitError('GODWIT_DEADLINE', facts).toJSON());
  }
  if (!isBeforeNoReturn(step)) return stay(state);
  return beginUndo(state, step, timeoutError(state, step, event));
}

function end(state: SourceState, outcome: EndPhase): Transition {
  const next: SourceState = { ...state, doing: { kind: 'end', outcome } };
  return { state: next, effects: [{ type: 'end', outcome }] };
}

function isDoing(state: SourceState, step: StepName): boolean {
  return state.doing.kind === 'do' && state.doing.step === step;
}

function isUndoing({ doing }: SourceState, step: StepName): step is UndoneStep {
  return doing.kind === 'undo' && doing.step === step;
}

/** Error of `switchover`, or of a guest that did not shut down in time for a cold move. */
function shutdownIgnored(state: SourceState, step: StepName, error: SerialError): SerialError {
  const waited = isCold(state) && step === 'switchover' && !state.stopped;
  if (!waited || error.code !== 'GODWIT_DEADLINE') return error;
  const deadlineMs = Number(error.facts?.['deadlineMs'] ?? 0);
  return godwitError('GODWIT_NOT_SHUT_DOWN', { guest: state.plan.guest, deadlineMs }).toJSON();
}

/**
 * True if undoing this step brings the guest back. There is nothing to undo in a stream whose hypervisor ended; a
 * guest that had shut down is started again.
 */
function takesBack(step: StepName, state: SourceState, error: SerialError): boolean {
  if (isCold(state)) return step === 'switchover';
  return step === 'memory' && error.code !== 'GODWIT_HYPERVISOR_LOST';
}
