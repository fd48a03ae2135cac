import { godwitError, type GodwitError, type SerialError } from '../../../errors.ts';
import { defined } from '../../../protocol/defined.ts';
import type {
  Admission,
  DestinationStatus,
  Preparation,
} from '../../../protocol/peer/migration.ts';
import type { DestinationEvent, SeededBackingFile } from './destination-events.ts';
import { withEnd, type EndKind } from '../../../protocol/guest-end.ts';
import { withHalt, type Halt } from '../../../protocol/guest-halt.ts';
import type { HypervisorEvent } from '../hypervisor.ts';
import type { GuestHandle, Launch } from '../../../protocol/mover/handle.ts';
import { bootTimeIn, destinationRightAfter, type DestinationRight } from '../run-right.ts';
import type { BootTime } from '../../boot-time.ts';
import type { HostDoubts } from '../../../protocol/public/resolve.ts';

export { destinationEvent, portMap } from './destination-events.ts';
export type { DestinationEvent } from './destination-events.ts';

/**
 * State machine of a direct migration at its destination. The source's calls drive it, and `judgeCall` answers each
 * call from the state. The destination acts by itself only if its source is silent (silence.ts). Pure.
 *
 *   admitted -- prepare --> prepared -- arm --> armed -- commit --> running -- finish --> finished
 *      |                       |                  |                    |
 *      +--- refuse, release or a silent source ---+                    | never-ran, overruled
 *                              |                                       |
 *                              +------------> refused <----------------+
 *                                                +-- release --> released
 *
 * The boxes are the results of `statusOf`. run-right.ts moves the right to run.
 */

export interface DestinationState {
  readonly admission: Admission;
  readonly host: string;
  readonly stage: 'admitted' | 'preparing' | 'prepared' | 'released' | 'finished';
  readonly right: DestinationRight;
  readonly preparation: Preparation | undefined;
  readonly ports: Readonly<Record<string, string>>;
  readonly directories: readonly string[];
  /** Read-only images that the hosts do not share. */
  readonly bases: readonly SeededBackingFile[];
  readonly handle: GuestHandle | undefined;
  readonly memoryAddress: string | undefined;
  /** Cold move: how to start the hypervisor that will run the guest. */
  readonly launch: Launch | undefined;
  /** `gone` is proof that its process has ended. */
  readonly hypervisor: DestinationStatus['hypervisor'];
  /** The incoming memory stream failed, so this copy will never be whole. */
  readonly streamFailed: boolean;
  readonly error: SerialError | undefined;
  /** Armed before a reboot: the record that the guest ran may be lost. */
  readonly unsure: boolean;
  /** Post-copy has begun: the device state has left the source. */
  readonly postcopy: boolean;
  /** Journaled proof that the guest has run here; final. A commit alone is not enough. */
  readonly hasRun: boolean;
  /** The guest may have run here and written to its disks: it had the right to, or the record of that may be lost. */
  readonly mayHaveRun: boolean;
  /** After it ran here; as its hypervisor reported. */
  readonly ended?: EndKind;
  /** Stopped after it ran here, by its owner, itself or a fault. Godwit does not resume it. */
  readonly halted?: Halt;
  readonly armedIn: string | undefined;
  /**
   * Replacement for the source's commit, with the doubts that the operator accepted. Kept as one value, so that an
   * old proof cannot serve a later order. A commit replaces it.
   */
  readonly proved:
    | { readonly at: BootTime | undefined; readonly answersFor: readonly HostDoubts[] }
    | undefined;
}

export function initialDestination(
  event: Extract<DestinationEvent, { type: 'admitted' }>,
): DestinationState {
  return {
    admission: event.admission,
    host: event.host,
    stage: 'admitted',
    right: 'none',
    preparation: undefined,
    ports: {},
    directories: [],
    bases: [],
    handle: undefined,
    memoryAddress: undefined,
    launch: undefined,
    hypervisor: 'none',
    streamFailed: false,
    error: undefined,
    unsure: false,
    postcopy: false,
    hasRun: false,
    mayHaveRun: false,
    armedIn: undefined,
    proved: undefined,
  };
}

export function destinationAfter(
  state: DestinationState,
  event: DestinationEvent,
): DestinationState {
  switch (event.type) {
    case 'admitted':
      return state;
    case 'taken-over': {
      const unsure = state.right === 'armed' && !event.neverRan;
      // Whatever its right: the journal may have been restored from a copy that lacks later records.
      return { ...state, unsure, mayHaveRun: state.mayHaveRun || !event.neverRan };
    }
    case 'seeding':
      return { ...state, bases: event.bases, directories: withMade(state, event.directories) };
    case 'preparing': {
      const { preparation: asked, ports } = event;
      const directories = withMade(state, event.directories);
      return { ...state, stage: 'preparing', preparation: asked, ports, directories };
    }
    case 'prepared': {
      const { handle, memoryAddress, launch = state.launch } = event;
      return { ...state, stage: 'prepared', handle, memoryAddress, launch, hypervisor: 'incoming' };
    }
    case 'armed':
      return {
        ...state,
        right: destinationRightAfter(state.right, 'arm') ?? state.right,
        armedIn: event.bootId,
      };
    case 'committed':
      return { ...withCommit(state), proved: undefined };
    case 'running': {
      // The guest may have ended again before this record.
      const hypervisor = afterHypervisor(state, 'resumed');
      // A power loss may have taken the record of the commit.
      return { ...withCommit(state), hypervisor, hasRun: true };
    }
    case 'refused':
      return {
        ...state,
        right: destinationRightAfter(state.right, 'refuse') ?? state.right,
        unsure: false,
        mayHaveRun: state.mayHaveRun && event.neverRan !== true,
      };
    case 'resolved': {
      const proved = { at: bootTimeIn(event), answersFor: event.answersFor ?? [] };
      return { ...withCommit(state), proved };
    }
    case 'overruled':
    case 'never-ran': {
      const change = event.type === 'overruled' ? 'overrule' : 'never-ran';
      const right = destinationRightAfter(state.right, change) ?? state.right;
      const mayHaveRun = state.mayHaveRun && event.type === 'overruled';
      return { ...state, right, unsure: false, mayHaveRun };
    }
    case 'hypervisor':
      return {
        ...haltedAfter(state, event.event),
        hypervisor: afterHypervisor(state, event.event.type),
        streamFailed: state.streamFailed || event.event.type === 'failed',
        postcopy: state.postcopy || event.event.type === 'postcopy-active',
        hasRun: state.hasRun || (state.right === 'running' && event.event.type === 'resumed'),
        ...(state.hasRun && event.event.type === 'lost' ? withEnd(event.event) : {}),
      };
    case 'failed':
      return { ...state, error: event.error };
    case 'released':
      return { ...state, stage: 'released', hypervisor: 'none' };
    case 'finished':
      return { ...state, stage: 'finished', hasRun: true };
  }
}

/** The right to run settles whatever this side forgot in a reboot. */
function withCommit(state: DestinationState): DestinationState {
  const right = destinationRightAfter(state.right, 'commit') ?? state.right;
  if (right !== 'running') return { ...state, right };
  return { ...state, right, unsure: false, mayHaveRun: true };
}

/** A halt changes neither the right to run nor what is here: the guest has arrived, and its owner decides. */
function haltedAfter(state: DestinationState, event: HypervisorEvent): DestinationState {
  const { halted: _, ...running } = state;
  if (event.type === 'resumed') return running;
  if (event.type !== 'stopped' || event.halt === undefined || !state.hasRun) return state;
  return { ...state, halted: event.halt };
}

/** Lists the directories of backing files before the directories of the images above them. */
function withMade({ directories }: DestinationState, made: readonly string[] = []): string[] {
  return [...new Set([...directories, ...made])];
}

function afterHypervisor(
  state: DestinationState,
  type: HypervisorEvent['type'],
): DestinationStatus['hypervisor'] {
  // `never-ran` may already rest on this, so a late event must not revive it.
  if (state.hypervisor === 'gone') return 'gone';
  switch (type) {
    case 'postcopy-active':
      return 'postcopy';
    case 'postcopy-paused':
      return 'postcopy-paused';
    case 'completed':
      if (state.streamFailed) return state.hypervisor;
      return state.right === 'running' ? 'running' : 'paused';
    case 'lost':
      return 'gone';
    case 'resumed':
      // The guest still misses memory, whatever its stream does now.
      return state.hypervisor === 'postcopy' || state.hypervisor === 'postcopy-paused'
        ? state.hypervisor
        : 'running';
    case 'setup':
    case 'active':
    case 'pass':
    case 'stopped':
    case 'pre-switchover':
    case 'failed':
    case 'device':
    case 'postcopy-recovering':
    case 'cancelled':
      return state.hypervisor;
  }
}

export type DestinationCall =
  | 'assess'
  /** Finds and reserves backing files that the hosts do not share. */
  | 'seed'
  | 'prepare'
  | 'arm'
  | 'commit'
  | 'refuse'
  | 'media'
  | 'disks'
  | 'compare'
  | 'recover'
  | 'release'
  /** Releases the remains of a guest that the source reports as lost. */
  | 'tear-down'
  | 'finish';

/** `go`: carry it out; `already`: done, answer again; `no`: refuse, with a reason. */
export type Verdict =
  | { readonly kind: 'go' }
  | { readonly kind: 'already' }
  | { readonly kind: 'no'; readonly error: GodwitError };

/** Decides whether a call of the source's mover, which may come twice, may be carried out. */
export function judgeCall(
  state: DestinationState,
  call: DestinationCall,
  callEpoch: number,
): Verdict {
  if (callEpoch !== state.admission.epoch) {
    return no(state, `the epoch here is ${state.admission.epoch}, the call’s is ${callEpoch}`);
  }
  switch (call) {
    case 'assess':
      return state.stage === 'released' ? no(state, 'it was released') : go;
    case 'seed':
      return state.right === 'none' && state.stage === 'admitted'
        ? go
        : no(state, `it is ${stateWord(state)}`);
    case 'prepare':
      if (state.right !== 'none' || state.stage === 'released')
        return no(state, `it is ${state.right}`);
      return state.stage === 'prepared' ? already : go;
    case 'arm':
      return judgeArm(state);
    case 'commit':
      return judgeCommit(state);
    case 'refuse':
      if (state.unsure) return undecidable(state);
      if (state.right === 'running') return no(state, 'the guest has been resumed here');
      return state.right === 'refused' ? already : go;
    case 'media':
    case 'disks':
      // Once the guest may run, it alone writes to them.
      if (state.right === 'running' || state.right === 'refused')
        return no(state, `it is ${state.right}`);
      return state.stage === 'prepared' ? go : no(state, `it is only ${state.stage}`);
    case 'compare':
      if (state.right !== 'running') return no(state, 'the guest does not run here');
      return state.stage === 'finished' ? no(state, 'it is settled') : go;
    case 'recover':
      return state.right === 'running' ? go : no(state, 'the guest was never committed here');
    case 'release':
      // A source asks only if it sent no commit or has the refusal, so it knows more than this side's record may
      // show.
      if (state.right === 'running') return no(state, 'the guest has been resumed here');
      return state.stage === 'released' ? already : go;
    case 'tear-down':
      if (state.right !== 'running') return judgeCall(state, 'release', callEpoch);
      if (state.hypervisor === 'running') return no(state, 'all of the guest is here, and it runs');
      return state.stage === 'finished' ? already : go;
    case 'finish':
      if (state.right !== 'running') return no(state, 'the guest does not run here');
      return state.stage === 'finished' ? already : go;
  }
}

function judgeArm(state: DestinationState): Verdict {
  if (state.right === 'armed') return already;
  if (state.stage !== 'prepared') return no(state, `it is only ${state.stage}`);
  if (state.hypervisor === 'gone') return no(state, 'its hypervisor is gone');
  if (state.streamFailed) return no(state, 'its memory stream has failed');
  return destinationRightAfter(state.right, 'arm') === undefined
    ? no(state, `it has ${state.right}`)
    : go;
}

function judgeCommit(state: DestinationState): Verdict {
  if (state.right === 'running') return already;
  if (state.unsure) return undecidable(state);
  // A destination whose hypervisor died before it ran the guest, or that lacks memory, never ran it and never will.
  if (state.hypervisor === 'gone')
    return no(state, 'its hypervisor is gone and never ran the guest');
  if (state.streamFailed)
    return no(state, 'its memory stream has failed, and it never ran the guest');
  return destinationRightAfter(state.right, 'commit') === undefined
    ? no(state, `it is ${state.right}`)
    : go;
}

const go: Verdict = { kind: 'go' };
const already: Verdict = { kind: 'already' };

function no(state: DestinationState, reason: string): Verdict {
  const { guest, epoch: number } = state.admission;
  const facts = { host: state.host, guest, epoch: number, reason };
  return { kind: 'no', error: godwitError('GODWIT_NOT_ARMED', facts) };
}

function undecidable(state: DestinationState): Verdict {
  const { guest } = state.admission;
  const reason = `${state.host} was restarted while armed and does not know whether the guest ran there`;
  return { kind: 'no', error: godwitError('GODWIT_HELD', { guest, reason }) };
}

export function statusOf(state: DestinationState): DestinationStatus {
  return {
    id: state.admission.id,
    epoch: state.admission.epoch,
    state: stateWord(state),
    hypervisor: state.hypervisor,
    ...defined({ error: state.error }),
    ...withEnd(state),
    ...withHalt(state),
  };
}

function stateWord(state: DestinationState): DestinationStatus['state'] {
  if (state.stage === 'released' || state.stage === 'finished') return state.stage;
  if (state.right !== 'none') return state.right;
  return state.stage === 'prepared' ? 'prepared' : 'admitted';
}
