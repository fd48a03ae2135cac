import { godwitError, type SerialError } from '../../../errors.ts';
import { endError, haltError } from '../../guest-changes/errors.ts';
import { endsMoveAtOnce, type Halt } from '../../guest-changes/run-states.ts';
import { isCold } from '../cold.ts';
import type { HypervisorEvent } from '../hypervisor.ts';
import { beginUndo, enter, stay } from './state-changes.ts';
import type { SourceState, Transition } from './source-state.ts';
import { holdsSwitchover } from '../../steering/steering.ts';
import { stepIndex, type StepName } from './steps.ts';

type Reaction = (state: SourceState, event: HypervisorEvent, step: StepName) => Transition;

const broken: Reaction = (state, event, step) => {
  const { guest } = state.plan;
  const reason = event.type === 'failed' ? event.reason : 'somebody cancelled it at the hypervisor';
  const error = godwitError('GODWIT_STREAM_FAILED', { guest, reason }).toJSON();
  return beginUndo(state, step, error);
};

const lost: Reaction = (state, event, step) =>
  event.type === 'lost' ? beginUndo(state, step, lostError(state, event)) : stay(state);

/** A halt that cannot end before memory moves ends the move; the first comparison judges other halts. */
const haltedEarly: Reaction = (state, event, step) => {
  const { halted, plan } = state;
  if (event.type !== 'stopped' || halted === undefined || !endsMoveAtOnce(halted)) {
    return stay(state);
  }
  return beginUndo(state, step, haltError(plan.guest, halted));
};

/** During memory and switchover, every halt undoes the move and leaves the guest halted. */
const halted: Reaction = (state, _, step) =>
  state.halted === undefined
    ? stay(state)
    : beginUndo(state, step, haltError(state.plan.guest, state.halted));

/** Continues a hypervisor that a mover of another version configured to stop at the switchover. */
const stopsAtSwitch: Reaction = (state) => {
  const next = enter({ ...state, via: 'precopy' }, 'switchover');
  if (holdsSwitchover(state.plan.settings, state.known)) return next;
  return { ...next, effects: [...next.effects, { type: 'continue' }] };
};

const switches: Reaction = (state) =>
  holdsSwitchover(state.plan.settings, state.known)
    ? stay(state)
    : enter({ ...state, via: 'precopy' }, 'switchover');

const letGo: Reaction = (state) =>
  state.via === 'postcopy' ? { state, effects: [{ type: 'continue' }] } : stay(state);

/** The switchover may precede a takeover, and pre-copy may win the race against the order to switch. */
const sent: Reaction = (state) => enter({ ...state, via: 'precopy' }, 'commit');
const switched: Reaction = (state) => enter({ ...state, via: 'postcopy' }, 'commit');

/** The destination may need a page to start the guest at all, so the stream resumes before its answer. */
const recoversInPostcopy: Reaction = (state) =>
  state.via === 'postcopy' ? { state, effects: [{ type: 'recover' }] } : stay(state);
const recovers: Reaction = (state) => ({ state, effects: [{ type: 'recover' }] });

const drained: Reaction = (state) => enter(state, 'verify');
/** Maybe only the last message was lost; ask the destination. */
const asksThere: Reaction = (state) => ({ state, effects: [{ type: 'do', step: 'drain' }] });

type Place = 'before' | 'memory' | 'switchover' | 'commit' | 'drain' | 'after';
type Reactions = Readonly<Record<Place, Reaction>>;

const at = (
  before: Reaction,
  memory: Reaction,
  switchover: Reaction,
  commit: Reaction,
  drain: Reaction,
): Reactions => ({ before, memory, switchover, commit, drain, after: stay });

/** Reaction to each event at each stage. After `commit`, only post-copy's stream matters. */
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

export function onHypervisor(before: SourceState, event: HypervisorEvent): Transition {
  if (before.startedAnew === true) return stay(before);
  const state = remember(before, event);
  // During undo, this side resumes the guest itself, after the refusal.
  if (state.doing.kind !== 'do') return stay(onTheWayBack(state, event));
  // A hypervisor may resume its guest when post-copy's last message fails, even if the destination runs it.
  if (event.type === 'resumed' && isElsewhere(state)) return { state, effects: [{ type: 'stop' }] };
  const { step } = state.doing;
  return REACTIONS[event.type][placeOf(step)](state, event, step);
}

/**
 * A rehearsal must leave its guest as it was, so the guest's end fails it. An ending hypervisor first breaks its
 * stream, copies and monitor.
 */
function onTheWayBack(state: SourceState, event: HypervisorEvent): SourceState {
  if (event.type !== 'lost' || state.doing.kind !== 'undo') return state;
  const { because } = state;
  const explains = event.ended !== undefined && because !== undefined && followsFromEnd(because);
  return because === undefined || explains ? { ...state, because: lostError(state, event) } : state;
}

/** Errors that may precede the report that the source's hypervisor ended. */
const OF_AN_END: ReadonlySet<string> = new Set([
  'GODWIT_STREAM_FAILED',
  'GODWIT_DISK_FAILED',
  'GODWIT_MONITOR_UNREACHABLE',
  'GODWIT_HYPERVISOR_LOST',
]);

function followsFromEnd({ code, facts }: SerialError): boolean {
  return OF_AN_END.has(code) && facts?.['side'] !== 'destination';
}

/** An owner's stop is kept until the guest runs again. */
function withHalt(state: SourceState, event: HypervisorEvent): SourceState {
  if (event.type === 'resumed' && state.halted !== undefined) {
    const { halted: _, ...rest } = state;
    return rest;
  }
  if (event.type !== 'stopped' || event.halt === undefined) return state;
  return isOwnStop(state, event.halt) ? state : { ...state, halted: event.halt };
}

/** Godwit itself pauses a guest for post-copy, and shuts it down for a cold move. */
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
  // A session first replays its state: before `memory`, an older stream's; on the way back, this migration's ended
  // stream's.
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
      // On the way forward, a source may end once it has handed everything over.
      return state.stream === 'done' && state.doing.kind === 'do'
        ? state
        : { ...state, stream: 'lost' };
  }
}

/** The destination may run the guest, so a copy here would be a second one. */
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
