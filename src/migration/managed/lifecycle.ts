import { godwitError, type SerialError } from '../../errors.ts';
import type { EndPhase, Phase } from '../../protocol/public/migration.ts';
import { endError } from '../guest-changes/errors.ts';
import { isToWait } from '../waits.ts';
import {
  MAX_ATTEMPTS,
  orderOf,
  type EngineEffect,
  type Row,
  type UndoneIn,
} from '../engine/rows.ts';
import {
  STEP_NAMES,
  type ManagedEvent,
  type ManagedFacts,
  type ManagedPlanned,
  type StepName,
} from './events.ts';
import type { ManagedState } from './state.ts';
import { afterDecision, afterLook, afterUnset, givenUp, type DecidedEvent } from './steered.ts';
import type { TaskSight, Whereabouts } from './task-sight.ts';

/**
 * Lifecycle of a managed migration. The manager moves the memory and decides who runs; Godwit sends it one order and
 * watches. Managers crash, forget, and answer late or twice: unknown stays unknown here, and the order is never sent
 * again.
 *
 *   wait -> inspect -> check -> prepare -> start | watch -> verify -> finish -> done
 *             failed, cancelled  <- undo         |   the manager's task; a cancel is a request to it; held if unknown
 *
 * `wait` is only for moves that begin later, and `prepare` only for moves that copy disks. Every end with the guest
 * at its source undoes `prepare`.
 */

export interface ManagedStep extends Row {
  /** ms; `timeout`: the user's limit for the whole migration; `asked`: the longest wait that can be requested. */
  readonly deadlineMs: number | 'timeout' | 'asked';
}

const TABLE = {
  wait: {
    phase: 'planned',
    does: 'wait for the moment that was asked for, the end of a notice, or a quiet moment; left out where none was asked for',
    endsBy: 'handler',
    deadlineMs: 'asked',
    undo: undefined,
    noUndo: 'nothing has been touched',
  },
  inspect: {
    phase: 'checking',
    does: 'ask the manager what the guest is',
    endsBy: 'handler',
    deadlineMs: 30_000,
    undo: undefined,
    noUndo: 'it only reads',
  },
  check: {
    phase: 'checking',
    does: 'ask the manager whether it would move it there',
    endsBy: 'handler',
    deadlineMs: 60_000,
    undo: undefined,
    noUndo: 'it only reads',
  },
  prepare: {
    phase: 'preparing',
    does: 'make what the copies of disks are written to; the journal has the list before; left out where no disk is copied',
    endsBy: 'handler',
    deadlineMs: 60_000,
    undo: 'remove what was made or left there, once the guest is known to run at its source',
  },
  start: {
    phase: 'preparing',
    does: 'send the one order; the journal has it before it leaves',
    endsBy: 'event',
    deadlineMs: 60_000,
    undo: 'ask the manager to end the task; its answer decides how the task ended',
  },
  watch: {
    phase: 'memory',
    does: 'look at the task until it has ended',
    endsBy: 'event',
    deadlineMs: 'timeout',
    undo: undefined,
    noUndo: 'it only reads; the undo of start ends the task',
  },
  verify: {
    phase: 'verifying',
    does: 'ask the manager where the guest is, until the answer agrees with the task’s result',
    endsBy: 'event',
    deadlineMs: 120_000,
    undo: undefined,
    noUndo: 'it only reads',
  },
  finish: {
    phase: 'cleanup',
    does: 'remove what was left with the manager for the task',
    endsBy: 'handler',
    deadlineMs: 30_000,
    undo: undefined,
    noUndo: 'the guest runs at its destination',
  },
} as const satisfies Readonly<Record<StepName, ManagedStep>>;
export const STEPS: Readonly<Record<StepName, ManagedStep>> = TABLE;

/** Steps with an undo; the compiler requires each in mover/managed/lifecycle.ts. */
export type UndoneStep = UndoneIn<typeof TABLE>;

const { next: nextStep } = orderOf<StepName, UndoneStep>(STEP_NAMES, STEPS);

/** After the order the manager decides; Godwit can only ask it to stop. */
export const POINT_OF_NO_RETURN: StepName = 'start';
/** Time to retry the undo of `prepare`, ms; a daemon that died may be back by then. */
export const UNDO_MS = 120_000;
/** Before the second attempt, ms; doubled before the third. */
const PAUSE_MS = 1000;
/** Time for a task to end after a request to cancel it, ms. */
export const CANCEL_MS = 60_000;
/**
 * Consecutive reports of no task until the task counts as forgotten; a manager's list lags behind its accepted
 * orders. At two looks a second, 10 s.
 */
export const MISSES = 20;
/** Consecutive reports that the guest is at the source and at rest; inventories lag behind tasks. */
export const SURE = 2;

export type ManagedEffect = EngineEffect<StepName, UndoneStep> | OwnEffect;

export type OwnEffect =
  /** Undoes `start` during the current step; the manager reports the outcome. */
  { readonly type: 'ask-to-end' } | { readonly type: 'time'; readonly step: 'watch' };

const ASK_TO_END: ManagedEffect = { type: 'ask-to-end' };

export interface ManagedTransition {
  readonly state: ManagedState;
  readonly effects: readonly ManagedEffect[];
}

export function initialManaged({
  type: _,
  askedAtMs: __,
  prediction: ___,
  ...plan
}: ManagedPlanned): ManagedTransition {
  const step = isToWait(plan.settings) ? 'wait' : 'inspect';
  const state: ManagedState = {
    plan,
    doing: { kind: 'do', step },
    copies: [],
    takesBack: false,
    prepared: 'no',
    order: 'none',
    task: 'unseen',
    percent: undefined,
    postcopy: false,
    figures: {},
    missed: 0,
    cancelling: false,
    attempts: 0,
    atRest: 0,
    memoryBytes: undefined,
    checks: [],
    verified: [],
    vantages: [],
    because: undefined,
    leftovers: [],
  };
  return { state, effects: [{ type: 'do', step }] };
}

export function managedTransition(state: ManagedState, event: ManagedEvent): ManagedTransition {
  if (state.doing.kind === 'end') {
    const isHeld = state.doing.outcome === 'held' && event.type === 'resolved';
    return isHeld ? resolved(state, event) : { state, effects: effectsOf(state) };
  }
  if (state.doing.kind === 'undo') return undoing(state, event);
  const { step } = state.doing;
  switch (event.type) {
    case 'planned':
    case 'undone':
    case 'wire':
      return stay(state);
    case 'did':
      return event.step === step ? did(state, step, event.facts) : stay(state);
    case 'failed':
      return event.step === step ? failed(state, event) : stay(state);
    case 'ordered':
      return step === 'start' ? stay({ ...state, order: 'sent' }) : stay(state);
    case 'accepted':
      return step === 'start' ? enter({ ...state, order: 'accepted' }, 'watch') : stay(state);
    case 'refused':
      return step === 'start' ? giveUp(state, 'failed', event.error) : stay(state);
    case 'unanswered':
      return step === 'start' ? enter(state, 'watch') : stay(state);
    case 'settled':
      return stay(state.order === 'sent' ? { ...state, order: 'settled' } : state);
    case 'saw':
      return step === 'watch' ? saw(state, event.task) : stay(state);
    case 'decided':
      return step === 'watch' ? onDecided(state, event) : stay(state);
    case 'unset':
      return stay(afterUnset(state, event.error));
    case 'found':
      return step === 'verify' ? found(state, event.where) : stay(state);
    case 'cancel':
      return cancel(state);
    case 'timeout':
      return event.step === step ? timeout(state, step, event.afterMs) : stay(state);
    case 'taken-over':
      // The dead mover's order may have left, so it is looked up and not sent again.
      if (step === 'start' && state.order !== 'none') return enter(state, 'watch');
      return { state: { ...leave(state), attempts: 0 }, effects: effectsOf(state) };
    case 'resolved':
      return stay(state);
  }
}

/** Decision of an operator on a held migration. `ask`: the manager is asked once more, and its answer decides. */
function resolved(
  state: ManagedState,
  { runAt, proof, by }: Extract<ManagedEvent, { type: 'resolved' }>,
): ManagedTransition {
  // The task was done, yet the guest is at the source: it was moved back since.
  const task = state.task === 'done' && runAt === 'source' ? 'forgotten' : state.task;
  const asked = { ...state, because: undefined, task } as const;
  if (proof === 'ask') return enter(asked, 'verify');
  const next = { ...asked, vouched: runAt };
  if (runAt === 'destination') return enter(next, 'finish');
  const { guest, from } = state.plan;
  const reason = `${by} says that it runs at ${from}`;
  return giveUp(next, 'failed', godwitError('GODWIT_TASK_FAILED', { guest, reason }).toJSON());
}

function undoing(state: ManagedState, event: ManagedEvent): ManagedTransition {
  if (event.type === 'taken-over') return { state, effects: effectsOf(state) };
  if (event.type !== 'undone') return stay(state);
  const { error } = event;
  const leftovers = error === undefined ? state.leftovers : [...state.leftovers, error];
  const outcome = state.because?.code === 'GODWIT_CANCELLED' ? 'cancelled' : 'failed';
  return end({ ...state, leftovers }, outcome, state.because);
}

function did(
  state: ManagedState,
  step: StepName,
  { checks = [], copies = [...state.copies], ...facts }: ManagedFacts,
): ManagedTransition {
  const { memoryBytes = state.memoryBytes, verified = state.verified } = facts;
  const { vantages = state.vantages, takesBack = state.takesBack } = facts;
  const { beganAtMs = state.beganAtMs, snapshot = state.snapshot } = facts;
  const began = { ...(beganAtMs && { beganAtMs }), ...(snapshot && { snapshot }) };
  const outside = { verified, vantages, takesBack, ...began };
  const next = { ...state, memoryBytes, copies, ...outside, checks: [...state.checks, ...checks] };
  if (STEPS[step].endsBy === 'event') return stay(next);
  const after = nextStep(step);
  return after === undefined ? end(next, 'done', undefined) : enter(next, after);
}

function failed(
  given: ManagedState,
  { step, error, checks = [], ...looks }: Extract<ManagedEvent, { type: 'failed' }>,
): ManagedTransition {
  const left = error.retryable ? leave(given) : given;
  const { verified = left.verified, vantages = left.vantages } = looks;
  const state = { ...left, verified, vantages, checks: [...given.checks, ...checks] };
  // Ask the manager to end a running task; after the switch to post-copy, nothing can be undone.
  const mayEnd = step === 'watch' && !state.cancelling && !state.postcopy;
  if (mayEnd && error.code === 'GODWIT_GUEST_CHANGED') return askToEnd(state, error);
  // Questions to a manager are repeated until the deadline, because an error proves nothing, except that no order was
  // sent.
  const isBefore = step === 'start' && state.order === 'none';
  if (!isBefore && (step === 'start' || step === 'watch' || step === 'verify')) return stay(state);
  const attempts = state.attempts + 1;
  const isFinal = !error.retryable || checks.some(({ verdict }) => verdict === 'refuse');
  if (!isFinal && attempts < MAX_ATTEMPTS) return again({ ...state, attempts }, step);
  if (step !== 'finish') return giveUp(state, 'failed', error);
  return end({ ...state, leftovers: [...state.leftovers, error] }, 'done', undefined);
}

function saw(given: ManagedState, task: TaskSight): ManagedTransition {
  if (task.state === 'none') return sawNone(given);
  const figures = { ...given.figures, ...task.figures };
  const state = { ...given, order: 'accepted', task: task.state, figures, missed: 0 } as const;
  switch (task.state) {
    case 'running': {
      const postcopy = state.postcopy || task.postcopy === true;
      const next = { ...afterLook(state, task.memory), percent: task.percent, postcopy };
      // After the switch to post-copy, its memory has the full time to follow.
      const hasSwitched = postcopy && !state.postcopy;
      return hasSwitched ? { state: next, effects: [{ type: 'time', step: 'watch' }] } : stay(next);
    }
    case 'done':
    case 'cancelled':
      return enter(state, 'verify');
    case 'failed': {
      const { guest } = state.plan;
      const error = godwitError('GODWIT_TASK_FAILED', { guest, reason: task.reason }).toJSON();
      return enter({ ...state, because: state.because ?? error }, 'verify');
    }
  }
}

/** The task is forgotten, late, or never began: wait, then judge by the guest's place. */
function sawNone(state: ManagedState): ManagedTransition {
  // An unanswered order may still be in transit.
  if (state.order === 'sent') return stay(state);
  const next = { ...state, missed: state.missed + 1 };
  return next.missed < MISSES ? stay(next) : enter({ ...next, task: 'forgotten' }, 'verify');
}

/** Weighs the guest's reported place against the end of the task. */
function found(state: ManagedState, { at, busy, unseen, ended }: Whereabouts): ManagedTransition {
  if (at === 'destination' && busy !== true)
    return enter({ ...afterChange(state), ...(unseen && { unseen }) }, 'finish');
  const isAtRest = at === 'source' && busy === false;
  const next = { ...state, atRest: isAtRest ? state.atRest + 1 : 0 };
  // A finished task moved the guest; an inventory that contradicts it lags behind.
  if (next.atRest < SURE || state.task === 'done') return stay(next);
  if (ended !== undefined) return giveUp(next, 'failed', endError(state.plan.guest, ended));
  if (state.because?.code === 'GODWIT_CANCELLED') return giveUp(next, 'cancelled', state.because);
  return giveUp(next, 'failed', state.because ?? whyNot(next));
}

/** Reports a change that was seen too late to end the task; the guest may lack it now. */
function afterChange(state: ManagedState): ManagedState {
  const { because, leftovers } = state;
  if (because?.code !== 'GODWIT_GUEST_CHANGED') return { ...state, because: undefined };
  const hint = LATE_CHANGE_HINT;
  return { ...state, because: undefined, leftovers: [...leftovers, { ...because, hint }] };
}

const LATE_CHANGE_HINT =
  'The manager had switched before it could end the move. Compare the guest with what was changed, and make the change again at the destination.';

function whyNot({ plan: { guest }, order, task }: ManagedState): SerialError {
  const reason =
    task === 'cancelled'
      ? 'somebody ended it with its manager'
      : order === 'accepted'
        ? 'its manager has forgotten the task, and has not moved the guest'
        : 'its manager did not answer the order, and started no task';
  return godwitError('GODWIT_TASK_FAILED', { guest, reason }).toJSON();
}

/** True if a cancel now is obeyed. After the order, it is a request to the manager, made once. */
export function canCancel({ doing, cancelling, postcopy }: ManagedState): boolean {
  if (doing.kind !== 'do' || cancelling || postcopy) return false;
  return doing.step !== 'verify' && doing.step !== 'finish';
}

function cancel(state: ManagedState): ManagedTransition {
  if (!canCancel(state)) return stay(state);
  const { guest, from } = state.plan;
  const error = godwitError('GODWIT_CANCELLED', { guest, host: from }).toJSON();
  return state.order === 'none' ? giveUp(leave(state), 'cancelled', error) : askToEnd(state, error);
}

function timeout(state: ManagedState, step: StepName, afterMs: number): ManagedTransition {
  const left = step === 'finish' ? imagesLeft(state) : '';
  const late = { what: `step ${step}${left}`, deadlineMs: afterMs };
  const error = godwitError('GODWIT_DEADLINE', late).toJSON();
  if (step === 'finish') {
    return end({ ...state, leftovers: [...state.leftovers, error] }, 'done', undefined);
  }
  if (state.order === 'none') return giveUp(leave(state), 'failed', error);
  if (step === 'start') return enter(state, 'watch');
  if (step === 'watch') {
    // The guest has switched to post-copy, so its memory is on both hosts.
    const isLate = state.cancelling || state.postcopy;
    return isLate ? enter(state, 'verify') : askToEnd(state, error);
  }
  const unknown =
    state.postcopy && state.task === 'running'
      ? 'it has switched, and its memory still follows'
      : `its manager does not say where it is (${state.task})`;
  const reason = state.because?.message ?? unknown;
  const facts = { guest: state.plan.guest, reason };
  return end(state, 'held', godwitError('GODWIT_TASK_UNKNOWN', facts).toJSON());
}

/** Originals of copied disks, which the step removes. */
function imagesLeft({ copies, plan: { from, settings } }: ManagedState): string {
  if (copies.length === 0 || settings.keepSource === true) return '';
  const files = copies.map(({ file }) => file).join(', ');
  return ` (images that may be left at ${from}: ${files.slice(0, 2048)})`;
}

function onDecided(state: ManagedState, event: DecidedEvent): ManagedTransition {
  if (state.cancelling || state.postcopy) return stay(state);
  const next = afterDecision(state, event);
  return event.what === 'give-up' ? askToEnd(next, givenUp(state, event)) : stay(next);
}

function askToEnd(state: ManagedState, because: SerialError): ManagedTransition {
  return { state: { ...state, cancelling: true, because }, effects: [ASK_TO_END] };
}

/** Effects for a mover that takes over. Each may be repeated, except the order. */
export function effectsOf({ doing, cancelling }: ManagedState): readonly ManagedEffect[] {
  if (doing.kind === 'end') return [{ type: 'end', outcome: doing.outcome }];
  if (doing.kind === 'undo') return [{ type: 'undo', step: doing.step }];
  const work: ManagedEffect = { type: 'do', step: doing.step };
  return cancelling && doing.step === 'watch' ? [work, ASK_TO_END] : [work];
}

/** Pause before an attempt, ms; 0 before the first. */
export function pauseMs({ attempts }: Pick<ManagedState, 'attempts'>): number {
  return attempts === 0 ? 0 : PAUSE_MS * 2 ** (attempts - 1);
}

export function managedPhase({ doing }: ManagedState): Phase {
  if (doing.kind === 'undo') return 'undoing';
  return doing.kind === 'end' ? doing.outcome : STEPS[doing.step].phase;
}

function stay(state: ManagedState): ManagedTransition {
  return { state, effects: [] };
}

function enter(state: ManagedState, step: StepName): ManagedTransition {
  if (step === 'prepare' && state.copies.length === 0) return enter(state, 'start');
  const prepared = step === 'prepare' ? 'yes' : state.prepared;
  const fresh = { attempts: 0, atRest: 0, missed: 0 };
  const next = { ...state, ...fresh, prepared, doing: { kind: 'do', step } } as const;
  return { state: next, effects: effectsOf(next) };
}

function again(state: ManagedState, step: StepName): ManagedTransition {
  return { state, effects: [{ type: 'do', step }] };
}

/** An abandoned call of `prepare` may still have its effect. */
function leave(state: ManagedState): ManagedState {
  const isPreparing = state.doing.kind === 'do' && state.doing.step === 'prepare';
  return isPreparing ? { ...state, prepared: 'unsure' } : state;
}

/** The guest is at its source: undoes `prepare` before the end. */
function giveUp(
  state: ManagedState,
  outcome: 'failed' | 'cancelled',
  because: SerialError,
): ManagedTransition {
  const isOrdered = state.takesBack && state.order !== 'none';
  if (state.prepared === 'no' && !isOrdered) return end(state, outcome, because);
  const next = { ...state, because, doing: { kind: 'undo', step: 'prepare' } } as const;
  return { state: next, effects: effectsOf(next) };
}

function end(
  state: ManagedState,
  outcome: EndPhase,
  because: SerialError | undefined,
): ManagedTransition {
  const doing = { kind: 'end', outcome } as const;
  return { state: { ...state, because, doing }, effects: [{ type: 'end', outcome }] };
}
