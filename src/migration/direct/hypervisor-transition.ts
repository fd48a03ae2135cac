import { godwitError, type SerialError } from '../../errors.ts';
import { endError, haltError } from '../guest-changes/errors.ts';
import { endsMoveAtOnce, type Halt } from '../guest-changes/run-states.ts';
import { isCold } from './cold.ts';
import type { HypervisorEvent } from './hypervisor.ts';
import { beginUndo, enter, stay } from './state-changes.ts';
import type { SourceState, Transition } from './source-state.ts';
import { holdsSwitchover } from '../steering/steering.ts';
import { stepIndex, type StepName } from './steps.ts';

/** What follows from an event of the source's hypervisor. */
type Reaction = (state: SourceState, event: HypervisorEvent, step: StepName) => Transition;

const broken: Reaction = (state, event, step) => {
  const { guest } = state.plan;
  const reason = event.type === 'failed' ? event.reason : 'somebody cancelled it at the hypervisor';
  const error = godwitError('GODWIT_STREAM_FAILED', { guest, reason }).toJSON();
  return beginUndo(state, step, error);
};

const lost: Reaction = (state, event, step) =>
  event.type === 'lost' ? beginUndo(state, step, lostError(state, event)) : stay(state);

/** A halt that cannot be over before memory moves ends the move; the first comparison judges the others. */
const haltedEarly: Reaction = (state, event, step) => {
  const { halted, plan } = state;
  if (event.type !== 'stopped' || halted === undefined || !endsMoveAtOnce(halted)) {
    return stay(state);
  }
  return beginUndo(state, step, haltError(plan.guest, halted));
};

/** While memory moves or the switch begins, every halt takes the guest back as it is. */
const halted: Reaction = (state, _, step) =>
  state.halted === undefined
    ? stay(state)
    : beginUndo(state, step, haltError(state.plan.guest, state.halted));

/** A hypervisor that stops there though nobody wanted it to (a mover of another version set it so) continues. */
const stopsAtSwitch: Reaction = (state) => {
  const next = enter({ ...state, via: 'precopy' }, 'switchover');
  if (holdsSwitchover(state.plan.settings, state.known)) return next;
  return { ...next, effects: [...next.effects, { type: 'continue' }] };
};

/** The same without a stop before it. */
const switches: Reaction = (state) =>
  holdsSwitchover(state.plan.settings, state.known)
    ? stay(state)
    : enter({ ...state, via: 'precopy' }, 'switchover');

const letGo: Reaction = (state) =>
  state.via === 'postcopy' ? { state, effects: [{ type: 'continue' }] } : stay(state);

/** A mover that took over may find the switch made already; pre-copy may win the race against the order to switch. */
const sent: Reaction = (state) => enter({ ...state, via: 'precopy' }, 'commit');
const switched: Reaction = (state) => enter({ ...state, via: 'postcopy' }, 'commit');

/** The destination may need a page before it can run the guest at all: the stream does not wait for its answer. */
const recoversInPostcopy: Reaction = (state) =>
  state.via === 'postcopy' ? { state, effects: [{ type: 'recover' }] } : stay(state);
const recovers: Reaction = (state) => ({ state, effects: [{ type: 'recover' }] });

const drained: Reaction = (state) => enter(state, 'verify');
/** All memory may have left before, and only the last message have been lost: the destination knows. */
const asksThere: Reaction = (state) => ({ state, effects: [{ type: 'do', step: 'drain' }] });

/** Where a migration stands for its hypervisor's events. */
type Place = 'before' | 'memory' | 'switchover' | 'commit' | 'drain' | 'after';
type Reactions = Readonly<Record<Place, Reaction>>;

const at = (
  before: Reaction,
  memory: Reaction,
  switchover: Reaction,
  commit: Reaction,
  drain: Reaction,
): Reactions => ({ before, memory, switchover, commit, drain, after: stay });

/** What each event means in each place. Past `commit` only post-copy's stream still matters. */
const REACTIONS: Readonly<Record<HypervisorEvent['type'], Reactions>> = {
  // at(before memory, memory, switchover, commit, drain)
  setup: at(stay, stay, stay, stay, stay),
  active: at(stay, stay, stay, stay, stay),
  pass: at(stay, stay, stay, stay, stay),
  stopped: at(haltedEarly, halted, halted, stay, stay),
  resumed: at(stay, stay, stay, stay, stay),
  'pre-switchover': at(stay, stopsAtSwitch, letGo, stay, stay),
  device: at(stay, switches, stay, stay, stay),
  'postcopy-active': at(stay, switched, switched, stay, stay),
  'postcopy-paused': at(stay, switched, switched, recoversInPostcopy, recovers),
  'postcopy-recovering': at(stay, stay, stay, stay, stay),
  completed: at(stay, sent, sent, stay, drained),
  cancelled: at(stay, broken, broken, stay, stay),
  failed: at(stay, broken, broken, stay, asksThere),
  lost: at(lost, lost, lost, stay, asksThere),
};

function placeOf(step: StepName): Place {
  if (step === 'memory' || step === 'switchover' || step === 'commit' || step === 'drain')
    return step;
  return stepIndex(step) < stepIndex('memory') ? 'before' : 'after';
}

/** What the source's hypervisor says, in each state. */
export function onHypervisor(before: SourceState, event: HypervisorEvent): Transition {
  if (before.startedAnew === true) return stay(before);
  const state = remember(before, event);
  // While undoing, this side resumes the guest itself, with the refusal in hand.
  if (state.doing.kind !== 'do') return stay(onTheWayBack(state, event));
  // A hypervisor may run its guest again when post-copy's last message fails, whoever runs it by then.
  if (event.type === 'resumed' && isElsewhere(state)) return { state, effects: [{ type: 'stop' }] };
  const { step } = state.doing;
  return REACTIONS[event.type][placeOf(step)](state, event, step);
}

/**
 * A rehearsal whose guest ends meanwhile did not leave it as it was. A hypervisor that ends breaks its stream, its copies
 * and its monitor's connection first: whichever was noticed before, the end is the reason.
 */
function onTheWayBack(state: SourceState, event: HypervisorEvent): SourceState {
  if (event.type !== 'lost' || state.doing.kind !== 'undo') return state;
  const { because } = state;
  const explains = event.ended !== undefined && because !== undefined && followsFromEnd(because);
  return because === undefined || explains ? { ...state, because: lostError(state, event) } : state;
}

/** Errors that the end of the source's hypervisor may cause before the end itself is reported. */
const OF_AN_END: ReadonlySet<string> = new Set([
  'GODWIT_STREAM_FAILED',
  'GODWIT_DISK_FAILED',
  'GODWIT_MONITOR_UNREACHABLE',
  'GODWIT_HYPERVISOR_LOST',
]);

function followsFromEnd({ code, facts }: SerialError): boolean {
  return OF_AN_END.has(code) && facts?.['side'] !== 'destination';
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

type LostEvent = Extract<HypervisorEvent, { type: 'lost' }>;

function lostError({ plan }: SourceState, { reason, ended }: LostEvent): SerialError {
  if (ended !== undefined) return endError(plan.guest, ended);
  const facts = { side: 'source', guest: plan.guest, reason } as const;
  return godwitError('GODWIT_HYPERVISOR_LOST', facts).toJSON();
}
