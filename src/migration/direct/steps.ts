import { orderOf, type Row, type UndoneIn } from '../engine/rows.ts';

/** The steps of one migration, in order. The source's mover carries them out. */
export const STEP_NAMES = [
  'wait',
  'admit',
  'inspect',
  'assess',
  'seed',
  'prepare',
  'configure',
  'arm',
  'mirror',
  'unplug',
  'balloon',
  'memory',
  'switchover',
  'commit',
  'drain',
  'verify',
  'retire',
  'finish',
] as const;
export type StepName = (typeof STEP_NAMES)[number];

export interface Step extends Row {
  /** Whether a rehearsal does it. The others only serve the switch, which a rehearsal does not come to. */
  readonly rehearsed: boolean;
  /** ms; `timeout`: the time that the user allowed for the whole migration; `asked`: no longer than one may ask for. */
  readonly deadline: number | 'timeout' | 'asked';
}

/** From this step on there is no way back: the destination may run. */
export const POINT_OF_NO_RETURN = 'commit' satisfies StepName;

/** A rehearsal comes to none of these: the compiler holds the table to it. */
type MovesTheRight = 'arm' | 'switchover' | typeof POINT_OF_NO_RETURN;
type NeverRehearsed = Readonly<Record<MovesTheRight, { readonly rehearsed: false }>>;

/** Once memory has converged, a rehearsal turns round. */
export const LAST_REHEARSED = 'memory' satisfies StepName;

const TABLE = {
  wait: {
    phase: 'planned',
    does: 'wait for the moment that was asked for, the end of a notice, or a quiet moment; left out where none was asked for',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 'asked',
    undo: undefined,
    noUndo: 'nothing has been touched',
  },
  admit: {
    phase: 'checking',
    does: 'the destination’s agent admits the guest and starts a mover',
    endsBy: 'handler',
    rehearsed: true,
    // A process starts there: about 15 s on the emulated host of the tests, once its agent has begun. The guest runs meanwhile.
    deadline: 30_000,
    undo: 'the destination releases everything: its mover goes, and what it had built',
  },
  inspect: {
    phase: 'checking',
    does: 'take hold of the guest and describe it as it really is',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 10_000,
    undo: undefined,
    noUndo: 'it only reads',
  },
  assess: {
    phase: 'checking',
    does: 'the destination checks the description against its host',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 15_000,
    undo: undefined,
    noUndo: 'it only reads',
  },
  seed: {
    phase: 'seeding',
    does: 'send the backing files that the destination lacks; left out where there are none',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 'timeout',
    undo: undefined,
    noUndo: 'release, which undoes admit, removes what was made',
  },
  prepare: {
    phase: 'preparing',
    does: 'the destination builds the paused guest and listens for memory',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 60_000,
    undo: undefined,
    noUndo: 'release, which undoes admit, takes it down',
  },
  configure: {
    phase: 'preparing',
    does: 'set the source hypervisor’s stream: capabilities, parameters, TLS',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 10_000,
    undo: 'set them back as they were found',
  },
  arm: {
    phase: 'preparing',
    does: 'both sides write armed(epoch), synced',
    endsBy: 'handler',
    rehearsed: false,
    deadline: 15_000,
    undo: 'abandon the epoch: no commit will be sent, and the destination refuses one',
  },
  mirror: {
    phase: 'disks',
    does: 'copy disks that the hosts do not share while the guest runs; left out where there are none',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 'timeout',
    undo: 'end the copying; the guest and its disks are as they were',
  },
  unplug: {
    phase: 'memory',
    does: 'the guest releases the devices that cannot move; left out where none was named',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 60_000,
    undo: 'plug them in again, as they were',
  },
  balloon: {
    phase: 'memory',
    does: 'take memory that the guest does not need out of the way by its balloon; left out where that was not asked for',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 60_000,
    undo: 'give the guest its memory back',
  },
  memory: {
    phase: 'memory',
    does: 'memory moves while the guest runs',
    endsBy: 'event',
    rehearsed: true,
    deadline: 'timeout',
    undo: 'cancel the stream; the guest runs on at the source',
  },
  switchover: {
    phase: 'switchover',
    does: 'the guest stops; the last of its state moves',
    endsBy: 'event',
    rehearsed: false,
    // The guest is paused meanwhile.
    deadline: 20_000,
    undo: 'take the guest back: cancel, or resume it with the destination’s refusal in hand',
  },
  commit: {
    phase: 'handover',
    does: 'the right to run passes; the destination resumes the guest',
    endsBy: 'handler',
    rehearsed: false,
    deadline: 120_000,
    undo: undefined,
    noUndo: 'point of no return: the destination may run',
  },
  drain: {
    phase: 'draining',
    does: 'post-copy: the rest of memory follows the guest',
    endsBy: 'event',
    rehearsed: false,
    deadline: 'timeout',
    undo: undefined,
    noUndo: 'the destination runs',
  },
  verify: {
    phase: 'verifying',
    does: 'see that the destination runs and the source does not',
    endsBy: 'handler',
    rehearsed: false,
    deadline: 60_000,
    undo: undefined,
    noUndo: 'the destination runs',
  },
  retire: {
    phase: 'cleanup',
    does: 'end the source’s hypervisor; remove its ports and sockets',
    endsBy: 'handler',
    rehearsed: false,
    deadline: 60_000,
    undo: undefined,
    noUndo: 'the destination runs',
  },
  finish: {
    phase: 'cleanup',
    does: 'the destination’s mover settles the guest and ends',
    endsBy: 'handler',
    rehearsed: false,
    deadline: 30_000,
    undo: undefined,
    noUndo: 'the destination runs',
  },
} as const satisfies Readonly<Record<StepName, Step>> & NeverRehearsed;

export const STEPS: Readonly<Record<StepName, Step>> = TABLE;

/** The steps that have an undo; the compiler asks for it in mover/direct/source/lifecycle.ts. */
export type UndoneStep = UndoneIn<typeof TABLE>;

export const {
  index: stepIndex,
  next: nextStep,
  undoAtOrBefore,
  undoBefore,
} = orderOf<StepName, UndoneStep>(STEP_NAMES, STEPS);

export function isBeforeNoReturn(step: StepName): boolean {
  return stepIndex(step) < stepIndex(POINT_OF_NO_RETURN);
}
