import { godwitError, type SerialError } from '../../errors.ts';
import { endError, haltError } from '../guest-changes/errors.ts';
import { endsMoveAtOnce, type Halt } from '../guest-changes/run-states.ts';
import { isCold } from './cold.ts';
import type { HypervisorEvent } from './hypervisor.ts';
import { beginUndo, enter, stay } from './state-changes.ts';
import type { SourceState, Transition } from './source-state.ts';
import { holdsSwitchover } from '../steering/steering.ts';
import { stepIndex, type StepName } from './steps.ts';

/** What the source's hypervisor says, in each state. Past `commit` only post-copy's stream still matters. */
export function onHypervisor(before: SourceState, event: HypervisorEvent): Transition {
  const state = remember(before, event);
  // While undoing, this side resumes the guest itself, with the refusal in hand.
  if (state.doing.kind !== 'do') return stay(onTheWayBack(state, event));
  // A hypervisor may run its guest again when post-copy's last message fails, whoever runs it by then.
  if (event.type === 'resumed' && isElsewhere(state)) return { state, effects: [{ type: 'stop' }] };
  switch (state.doing.step) {
    case 'wait':
    case 'inspect':
    case 'admit':
    case 'assess':
    case 'seed':
    case 'prepare':
    case 'configure':
    case 'arm':
    case 'mirror':
    case 'unplug':
    case 'balloon':
      return beforeMemory(state, state.doing.step, event);
    case 'memory':
      return duringMemory(state, event);
    case 'switchover':
      return duringSwitchover(state, event);
    case 'drain':
      return duringDrain(state, event);
    case 'commit':
      // The destination may need a page before it can run the guest at all: the stream does not wait for its answer.
      return event.type === 'postcopy-paused' && state.via === 'postcopy'
        ? { state, effects: [{ type: 'recover' }] }
        : stay(state);
    case 'verify':
    case 'retire':
    case 'finish':
      return stay(state);
  }
}

/** A rehearsal whose guest ends meanwhile did not leave it as it was. */
function onTheWayBack(state: SourceState, event: HypervisorEvent): SourceState {
  if (event.type !== 'lost' || state.doing.kind !== 'undo' || state.because !== undefined)
    return state;
  return { ...state, because: lostError(state, event) };
}

/** The order of the guest's owner is kept until the guest runs again, whatever becomes of the move. */
function withHalt(state: SourceState, event: HypervisorEvent): SourceState {
  if (event.type === 'resumed' && state.halted !== undefined) {
    const { halted: _, ...rest } = state;
    return rest;
  }
  if (event.type !== 'stopped' || event.halt === undefined) return state;
  return isOwnStop(state, event.halt) ? state : { ...state, halted: event.halt };
}

/** Godwit pauses the guest itself before it goes over to post-copy, and has one that moves cold shut down. */
function isOwnStop(state: SourceState, { kind }: Halt): boolean {
  if (isCold(state)) return kind === 'shut-down' && isAtOrAfter(state, 'switchover');
  return kind === 'paused' && state.via === 'postcopy';
}

function isAtOrAfter({ doing }: SourceState, step: StepName): boolean {
  const at = doing.kind === 'do' || doing.kind === 'undo' ? doing.step : step;
  return stepIndex(at) >= stepIndex(step);
}

/** A halt that cannot be over before memory moves ends the move; the first comparison judges the others. */
function beforeMemory(state: SourceState, step: StepName, event: HypervisorEvent): Transition {
  if (event.type === 'lost') return sourceLost(state, step, event);
  const { halted } = state;
  if (event.type !== 'stopped' || halted === undefined || !endsMoveAtOnce(halted)) {
    return stay(state);
  }
  return beginUndo(state, step, haltError(state.plan.guest, halted));
}

/** While memory moves or the switch begins, every halt takes the guest back as it is. */
function onStop(state: SourceState, step: StepName): Transition {
  const { halted } = state;
  return halted === undefined
    ? stay(state)
    : beginUndo(state, step, haltError(state.plan.guest, halted));
}

function remember(before: SourceState, event: HypervisorEvent): SourceState {
  const state = withHalt(before, event);
  // A session first reports what is already so: before `memory` that is an older stream's story, and on the way
  // back past it, this one's, which is over.
  if (isBeforeMemory(state) && event.type !== 'lost') return state;
  switch (event.type) {
    case 'setup':
    case 'pass':
    case 'device':
    case 'postcopy-recovering':
    case 'cancelled':
      return state;
    case 'active':
    case 'postcopy-active':
      return { ...state, stream: 'active' };
    case 'pre-switchover':
    case 'stopped':
      return { ...state, stopped: true };
    case 'resumed':
      return { ...state, stopped: false };
    case 'postcopy-paused':
      return { ...state, stream: 'paused' };
    case 'completed':
      return { ...state, stream: 'done', stopped: true };
    case 'failed':
      return { ...state, stream: state.stream === 'done' ? 'done' : 'failed' };
    case 'lost':
      // On the way forward, a source that goes after it gave everything is no loss.
      return state.stream === 'done' && state.doing.kind === 'do'
        ? state
        : { ...state, stream: 'lost' };
  }
}

/** The destination may run the guest, or does: a copy that ran here would be a second one. */
function isElsewhere({ right }: SourceState): boolean {
  return right === 'committing' || right === 'passed';
}

function isBeforeMemory({ doing }: SourceState): boolean {
  const stepped = doing.kind === 'do' || doing.kind === 'undo';
  return stepped && stepIndex(doing.step) < stepIndex('memory');
}

function duringMemory(state: SourceState, event: HypervisorEvent): Transition {
  switch (event.type) {
    case 'pre-switchover':
      return stopsAtSwitch(state);
    case 'device':
      return holdsSwitchover(state.plan.settings, state.known)
        ? stay(state)
        : enter({ ...state, via: 'precopy' }, 'switchover');
    case 'completed':
      // A mover that took over may find the switch made already.
      return enter({ ...state, via: 'precopy' }, 'commit');
    case 'postcopy-active':
    case 'postcopy-paused':
      return enter({ ...state, via: 'postcopy' }, 'commit');
    case 'failed':
      return broken(state, 'memory', event.reason);
    case 'cancelled':
      return broken(state, 'memory', 'somebody cancelled it at the hypervisor');
    case 'lost':
      return sourceLost(state, 'memory', event);
    case 'stopped':
      return onStop(state, 'memory');
    case 'setup':
    case 'active':
    case 'pass':
    case 'resumed':
    case 'postcopy-recovering':
      return stay(state);
  }
}

/** A hypervisor that stops there though nobody wanted it to (a mover of another version set it so) continues. */
function stopsAtSwitch(state: SourceState): Transition {
  const next = enter({ ...state, via: 'precopy' }, 'switchover');
  if (holdsSwitchover(state.plan.settings, state.known)) return next;
  return { ...next, effects: [...next.effects, { type: 'continue' }] };
}

function duringSwitchover(state: SourceState, event: HypervisorEvent): Transition {
  switch (event.type) {
    case 'pre-switchover':
      return state.via === 'postcopy' ? { state, effects: [{ type: 'continue' }] } : stay(state);
    case 'completed':
      // Pre-copy may win the race against the order to switch to post-copy.
      return enter({ ...state, via: 'precopy' }, 'commit');
    case 'postcopy-active':
    case 'postcopy-paused':
      return enter({ ...state, via: 'postcopy' }, 'commit');
    case 'failed':
      return broken(state, 'switchover', event.reason);
    case 'cancelled':
      return broken(state, 'switchover', 'somebody cancelled it at the hypervisor');
    case 'lost':
      return sourceLost(state, 'switchover', event);
    case 'stopped':
      return onStop(state, 'switchover');
    case 'setup':
    case 'active':
    case 'pass':
    case 'resumed':
    case 'device':
    case 'postcopy-recovering':
      return stay(state);
  }
}

function duringDrain(state: SourceState, event: HypervisorEvent): Transition {
  switch (event.type) {
    case 'completed':
      return enter(state, 'verify');
    case 'postcopy-paused':
      return { state, effects: [{ type: 'recover' }] };
    case 'failed':
    case 'lost':
      // All memory may have left before, and only the last message have been lost: the destination knows.
      return { state, effects: [{ type: 'do', step: 'drain' }] };
    case 'setup':
    case 'active':
    case 'pass':
    case 'stopped':
    case 'resumed':
    case 'pre-switchover':
    case 'device':
    case 'postcopy-active':
    case 'postcopy-recovering':
    case 'cancelled':
      return stay(state);
  }
}

function broken(state: SourceState, step: StepName, reason: string): Transition {
  const error = godwitError('GODWIT_STREAM_FAILED', { guest: state.plan.guest, reason }).toJSON();
  return beginUndo(state, step, error);
}

type Lost = Extract<HypervisorEvent, { type: 'lost' }>;

function sourceLost(state: SourceState, step: StepName, event: Lost): Transition {
  return beginUndo(state, step, lostError(state, event));
}

function lostError({ plan }: SourceState, { reason, ended }: Lost): SerialError {
  if (ended !== undefined) return endError(plan.guest, ended);
  const facts = { side: 'source', guest: plan.guest, reason } as const;
  return godwitError('GODWIT_HYPERVISOR_LOST', facts).toJSON();
}
