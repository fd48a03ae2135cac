import {
  DEFAULT_LINK_GRACE_MS,
  type MigrationSettings,
} from '../../../protocol/public/migration.ts';
import { orderOf, type Row, type UndoneIn } from '../../engine/rows.ts';
import { MAX_NOTICE_MS, MAX_QUIET_MS, MAX_WAIT_MS } from '../../preflight/limits.ts';
import { isCold } from '../cold.ts';
import { guestEndingMs } from './ending-times.ts';
import type { StepFacts } from './step-facts.ts';

/**
 * Steps of a direct migration at its source, in order. Pure.
 *
 *   wait -> admit -> inspect -> assess -> seed -> prepare -> configure -> arm -> mirror -> unplug -> balloon -> memory
 *     -> switchover -> || commit -> drain -> verify -> retire -> finish -> done
 *                      ||   |        |        |
 *          point of no return  held  held, lost
 *
 * A failure, a cancel or a timeout before `commit` undoes the current step, then the earlier steps in reverse. The
 * end is failed, cancelled or rehearsed, or held if the guest may be paused here. Each step is a row of `TABLE`.
 * transition.ts has the effect of each event; mover/direct/source/lifecycle.ts carries out and undoes each step.
 */

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

export interface Course {
  readonly plan: { readonly settings: MigrationSettings };
  readonly known: StepFacts;
  readonly via: 'precopy' | 'postcopy' | 'none';
  readonly stream: string;
}

export interface Step extends Row {
  /** True if a rehearsal includes it; other steps only serve the switchover. */
  readonly rehearsed: boolean;
  /** ms; `timeout`: the user's limit for the whole migration; `asked`: the longest wait that can be requested. */
  readonly deadline: number | 'timeout' | 'asked';
  readonly moreMs?: (course: Course) => number;
  /** It must fit into the remaining time of the migration. */
  readonly isLimited?: true;
  /** True if it is skipped and needs no undo. */
  readonly isLeftOut?: (course: Course) => boolean;
  /** Differences of a cold move, which leaves out steps that only a memory stream needs. */
  readonly cold?:
    | 'left out'
    | { readonly endsBy: 'handler'; readonly deadline: 'timeout'; readonly isLimited: true };
  /** Change of the right to run on entry, in the same record. */
  readonly moves?: 'arm' | 'commit';
}

/** Maximum sleep of a step that waits for a requested time, ms. */
const WAKES_MS = 60_000;

/** First step without a way back: the destination may run the guest from here on. */
export const POINT_OF_NO_RETURN = 'commit' satisfies StepName;

/** Steps that a rehearsal must not include; the compiler checks the table. */
type MovesTheRight = 'arm' | 'switchover' | typeof POINT_OF_NO_RETURN;
type NeverRehearsed = Readonly<Record<MovesTheRight, { readonly rehearsed: false }>>;

/** A rehearsal turns round once memory has converged. */
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
    // A process starts there, which takes about 15 s on the tests' emulated host. The guest keeps running.
    deadline: 30_000,
    isLimited: true,
    undo: 'the destination releases everything: its mover goes, and what it had built',
  },
  inspect: {
    phase: 'checking',
    does: 'take hold of the guest and describe it as it really is',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 10_000,
    isLimited: true,
    undo: undefined,
    noUndo: 'it only reads',
  },
  assess: {
    phase: 'checking',
    does: 'the destination checks the description against its host',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 15_000,
    isLimited: true,
    undo: undefined,
    noUndo: 'it only reads',
  },
  seed: {
    phase: 'seeding',
    does: 'send the backing files that the destination lacks; left out where there are none',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 'timeout',
    isLimited: true,
    isLeftOut: ({ known }) => (known.bases ?? []).length === 0,
    undo: undefined,
    noUndo: 'release, which undoes admit, removes what was made',
  },
  prepare: {
    phase: 'preparing',
    does: 'the destination builds the paused guest and listens for memory',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 60_000,
    isLimited: true,
    undo: undefined,
    noUndo: 'release, which undoes admit, takes it down',
  },
  configure: {
    phase: 'preparing',
    does: 'set the source hypervisor’s stream: capabilities, parameters, TLS',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 10_000,
    isLimited: true,
    cold: 'left out',
    undo: 'set them back as they were found',
  },
  arm: {
    phase: 'preparing',
    does: 'both sides write armed(epoch), synced',
    endsBy: 'handler',
    rehearsed: false,
    deadline: 15_000,
    isLimited: true,
    moves: 'arm',
    undo: 'abandon the epoch: no commit will be sent, and the destination refuses one',
  },
  mirror: {
    phase: 'disks',
    does: 'copy disks that the hosts do not share while the guest runs; left out where there are none',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 'timeout',
    isLimited: true,
    isLeftOut: ({ known }) => (known.copies ?? []).length === 0,
    undo: 'end the copying; the guest and its disks are as they were',
  },
  unplug: {
    phase: 'memory',
    does: 'the guest releases the devices that cannot move; left out where none was named',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 60_000,
    isLimited: true,
    isLeftOut: ({ known }) => (known.unplugged ?? []).length === 0,
    cold: 'left out',
    undo: 'plug them in again, as they were',
  },
  balloon: {
    phase: 'memory',
    does: 'take memory that the guest does not need out of the way by its balloon; left out where that was not asked for',
    endsBy: 'handler',
    rehearsed: true,
    deadline: 60_000,
    isLimited: true,
    isLeftOut: ({ plan }) => plan.settings.balloon === undefined,
    cold: 'left out',
    undo: 'give the guest its memory back',
  },
  memory: {
    phase: 'memory',
    does: 'memory moves while the guest runs',
    endsBy: 'event',
    rehearsed: true,
    deadline: 'timeout',
    isLimited: true,
    cold: 'left out',
    undo: 'cancel the stream; the guest runs on at the source',
  },
  switchover: {
    phase: 'switchover',
    does: 'the guest stops; the last of its state moves',
    endsBy: 'event',
    rehearsed: false,
    // The guest is paused meanwhile.
    deadline: 20_000,
    moreMs: ({ plan, known, via }) => {
      // Post-copy can only go back by the destination's refusal, and a cut of the wire's links heals by itself. In
      // pre-copy, the guest can be run here instead.
      const mayBeCut = via === 'postcopy' && known.wire !== undefined;
      const { linkGraceMs = DEFAULT_LINK_GRACE_MS } = plan.settings;
      return mayBeCut ? linkGraceMs : (known.handsOverMs ?? 0);
    },
    // The guest sets the pace of its shutdown, and no stream event reports it.
    cold: { endsBy: 'handler', deadline: 'timeout', isLimited: true },
    undo: 'take the guest back: cancel, or resume it with the destination’s refusal in hand',
  },
  commit: {
    phase: 'handover',
    does: 'the right to run passes; the destination resumes the guest',
    endsBy: 'handler',
    rehearsed: false,
    deadline: 120_000,
    moreMs: ({ known }) => known.resumesMs ?? 0,
    moves: 'commit',
    undo: undefined,
    noUndo: 'point of no return: the destination may run',
  },
  drain: {
    phase: 'draining',
    does: 'post-copy: the rest of memory follows the guest',
    endsBy: 'event',
    rehearsed: false,
    deadline: 'timeout',
    isLeftOut: ({ stream, via }) => stream === 'done' || via === 'precopy',
    cold: 'left out',
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
    // The comparison has a separate deadline within this one.
    moreMs: ({ plan: { settings }, known }) =>
      (settings.verifyDisks === true ? settings.timeoutMs : 0) + guestEndingMs({ known }),
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

/** Steps with an undo; the compiler requires each in mover/direct/source/lifecycle.ts. */
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

function rowOf(step: StepName, course: Pick<Course, 'plan'>): Step {
  const row = STEPS[step];
  return typeof row.cold === 'object' && isCold(course) ? { ...row, ...row.cold } : row;
}

export function isLeftOut(step: StepName, course: Course): boolean {
  const { cold, isLeftOut: leavesOut } = STEPS[step];
  return (cold === 'left out' && isCold(course)) || leavesOut?.(course) === true;
}

export function endsBy(step: StepName, course: Pick<Course, 'plan'>): Step['endsBy'] {
  return rowOf(step, course).endsBy;
}

export function isLimited(step: StepName, course: Pick<Course, 'plan'>): boolean {
  return rowOf(step, course).isLimited === true;
}

export function deadlineOf(step: StepName, course: Course): number {
  const { deadline, moreMs } = rowOf(step, course);
  if (deadline === 'timeout') return course.plan.settings.timeoutMs;
  if (deadline === 'asked') return MAX_WAIT_MS + MAX_NOTICE_MS + MAX_QUIET_MS + WAKES_MS;
  return deadline + (moreMs?.(course) ?? 0);
}
