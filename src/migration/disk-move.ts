import { z } from 'zod';
import { guestHandle } from '../protocol/mover/handle.ts';
import { diskMoveId, diskMoveRequest, type DiskMoveState } from '../protocol/public/disk-move.ts';
import { serialError } from '../protocol/errors.ts';
import type { SerialError } from '../errors.ts';
import { MAX_ATTEMPTS } from './engine/rows.ts';
import { bytes, moment, ms, shortText } from '../protocol/names.ts';

/**
 * The life of a disk move on one host, on one page. The hypervisor copies and goes over to the new image; the agent looks,
 * decides by `DEEDS` and acts, again and again. At any instant the guest's disk is whole in one image. A running hypervisor
 * reports which one; without it the journal decides. Pure.
 *
 *   begun -> copying ------ switching ------> switching ------ switched ------> tidying -> done
 *              |  ^                              |     |
 *              |  +-- copying: not synced -------+     |
 *              +-- cancel, trouble --> undoing <-------+ trouble: the guest is still on the old image
 *                                         +-> failed | cancelled
 *
 * A stage is named by its box, an arrow by its record. Why it has no rows on the engine of the other lifecycles:
 * decisions/0027.
 */

const file = z.string().min(1).max(4096);

/** All that another agent needs to bring it to its end; plain data, the first record of its journal. */
export const diskMovePlan = z.object({
  id: diskMoveId,
  request: diskMoveRequest,
  handle: guestHandle,
  /** Of the host when the move began; absent: of an earlier build. */
  bootId: z.string().max(64).optional(),
  createdAt: moment,
  /** The image that the guest writes to, as it lies here, and which file that is. */
  from: file,
  identity: z.string().max(64),
  /** Where the new one will be, and the directories that are made for it. */
  to: file,
  directories: z.array(file).max(64),
  /** What the driver goes by. */
  work: z.unknown(),
});
export type DiskMovePlan = z.infer<typeof diskMovePlan>;

const event = z.discriminatedUnion('type', [
  z.object({ type: z.literal('begun'), plan: diskMovePlan }),
  /** An image is about to be made and filled. */
  z.object({ type: z.literal('copying') }),
  z.object({ type: z.literal('cancel') }),
  /** It is to be undone, and why. */
  z.object({ type: z.literal('trouble'), error: serialError }),
  /**
   * Both images are the same and on the disk, and the guest's writes wait: from here on the new one is the guest's disk
   * wherever the hypervisor cannot be asked any more.
   */
  z.object({ type: z.literal('switching') }),
  /** The guest writes to the new one alone. */
  z.object({ type: z.literal('switched') }),
  z.object({
    type: z.literal('ended'),
    outcome: z.enum(['done', 'failed', 'cancelled']),
    copiedBytes: bytes,
    totalBytes: bytes,
    elapsedMs: ms,
    waitedMs: ms.optional(),
    kept: z.string().max(4096).optional(),
    note: shortText.optional(),
    error: serialError.optional(),
  }),
]);
export type DiskMoveEvent = z.infer<typeof event>;

export const diskMoveRecord = z.object({
  v: z.literal(1),
  seq: z.number().int().nonnegative(),
  at: z.number(),
  mono: z.number(),
  event,
});

/** What a journal stands at. */
export type Stage =
  /** The guest is on the old image. A cancel is possible. */
  | 'copying'
  /** Recorded before the order: without its hypervisor the guest's disk is the new image from here on. */
  | 'switching'
  /** The guest is on the new image. */
  | 'tidying'
  /** The guest is on the old image, and the new one goes. */
  | 'undoing';

export interface MoveState {
  readonly plan: DiskMovePlan;
  readonly stage: Stage;
  /** Times that copying was begun. */
  readonly attempts: number;
  readonly cancelAsked: boolean;
  readonly error: SerialError | undefined;
  readonly ended: Extract<DiskMoveEvent, { type: 'ended' }> | undefined;
}

type Stages = Readonly<Record<Stage, Stage>>;
const STAYS: Stages = {
  copying: 'copying',
  switching: 'switching',
  tidying: 'tidying',
  undoing: 'undoing',
};
const to = (stage: Stage): Stages => ({
  copying: stage,
  switching: stage,
  tidying: stage,
  undoing: stage,
});

/** The stage after each record, by the stage before it. */
const AFTER: Readonly<Record<DiskMoveEvent['type'], Stages>> = {
  begun: STAYS,
  // A switch whose record could not be synced is given up, and the copy begins again.
  copying: { ...STAYS, switching: 'copying' },
  cancel: { ...STAYS, copying: 'undoing' },
  trouble: to('undoing'),
  switching: to('switching'),
  switched: to('tidying'),
  ended: STAYS,
};

export function beginMove(plan: DiskMovePlan): MoveState {
  const fresh = { attempts: 0, cancelAsked: false, error: undefined, ended: undefined };
  return { plan, stage: 'copying', ...fresh };
}

export function moveAfter(before: MoveState, event: DiskMoveEvent): MoveState {
  const state = { ...before, stage: AFTER[event.type][before.stage] };
  switch (event.type) {
    case 'copying':
      return { ...state, attempts: state.attempts + 1 };
    case 'cancel':
      return { ...state, cancelAsked: canCancel(before) || state.cancelAsked };
    case 'trouble':
      return { ...state, error: event.error };
    case 'ended':
      return { ...state, ended: event };
    case 'begun':
    case 'switching':
    case 'switched':
      return state;
  }
}

/** Whether the guest stays on its old image if a cancel is recorded now. */
export function canCancel({ stage }: Pick<MoveState, 'stage'>): boolean {
  return stage === 'copying' || stage === 'undoing';
}

/** Undefined where nothing had begun. */
export function replayMove(events: readonly DiskMoveEvent[]): MoveState | undefined {
  const [first, ...rest] = events;
  if (first?.type !== 'begun') return undefined;
  return rest.reduce(moveAfter, beginMove(first.plan));
}

/** What was seen of it just now. */
export interface MoveSight {
  readonly hypervisor: 'lives' | 'gone';
  /** Which image the guest's device uses. */
  readonly on: 'old' | 'new' | 'neither';
  /** `pending`: both are the same, the guest's writes wait, and nothing but the word is missing. */
  readonly job: 'none' | 'copying' | 'ready' | 'ending' | 'pending' | 'ended' | 'failed';
  /** The hypervisor has the new image open. */
  readonly open: boolean;
  /** A pass over the disk is behind, or little of it is left: a guest that writes faster than is copied is to wait for both. */
  readonly nearly: boolean;
  /** The job brings the guest's own writes to both images before the guest hears of them, or cannot be made to. */
  readonly isWriteBlocking: boolean;
}

export type MoveDeed =
  /** Makes the image and begins to copy. */
  | 'begin'
  | 'wait'
  | 'write-blocking'
  /** Lets the job come to the point where both are the same, and goes over to the new image. */
  | 'complete'
  | 'switch'
  /** The switch was written down already: gives the word again. */
  | 'finalize'
  /** The guest is on the new one: closes the old one. */
  | 'settle'
  /** Takes job and new image out of the hypervisor. */
  | 'drop'
  /** Removes the new image, which nobody has open. */
  | 'discard'
  /** The copy has ended by itself, or was refused: writes down why. */
  | 'fail'
  /** The guest is on neither: somebody else has changed it, and nothing is removed. */
  | 'leave'
  | 'nothing';

/** A deed, or a choice that needs more of what was seen. */
type Cell = MoveDeed | ((state: MoveState, sight: MoveSight) => MoveDeed);

const beginAgain: Cell = ({ attempts }) => (attempts < MAX_ATTEMPTS ? 'begin' : 'fail');
const follow: Cell = (_, { nearly, isWriteBlocking }) =>
  nearly && !isWriteBlocking ? 'write-blocking' : 'wait';
const bringTogether: Cell = (_, { isWriteBlocking }) =>
  isWriteBlocking ? 'complete' : 'write-blocking';
const close: Cell = (_, { open }) => (open ? 'drop' : 'discard');

const at = (copying: Cell, switching: Cell, tidying: Cell, undoing: Cell) => ({
  copying,
  switching,
  tidying,
  undoing,
});

/** The hypervisor is gone, the guest is not on its old image, or the state of the job while it is. */
type MoveCondition = 'gone' | Exclude<MoveSight['on'], 'old'> | MoveSight['job'];

/**
 * What is to be done next. The report of a running hypervisor counts before the journal. A switch that was refused or broken
 * off after its record fails: the guest has continued on the old image.
 */
const DEEDS: Readonly<Record<MoveCondition, Readonly<Record<Stage, Cell>>>> = {
  // at(copying, switching, tidying, undoing)
  gone: at('discard', 'settle', 'settle', 'discard'),
  neither: at('leave', 'leave', 'leave', 'leave'),
  new: at('settle', 'settle', 'settle', 'settle'),
  none: at(beginAgain, 'fail', 'fail', close),
  copying: at(follow, 'fail', 'fail', 'drop'),
  ready: at(bringTogether, 'fail', 'fail', 'drop'),
  ending: at('wait', 'wait', 'wait', 'drop'),
  pending: at('switch', 'finalize', 'finalize', 'drop'),
  ended: at('fail', 'fail', 'fail', 'drop'),
  failed: at('fail', 'fail', 'fail', 'drop'),
};

function seenIn({ hypervisor, on, job }: MoveSight): MoveCondition {
  if (hypervisor === 'gone') return 'gone';
  return on === 'old' ? job : on;
}

export function decideMove(state: MoveState, sight: MoveSight): MoveDeed {
  if (state.ended !== undefined) return 'nothing';
  const cell = DEEDS[seenIn(sight)][state.stage];
  return typeof cell === 'function' ? cell(state, sight) : cell;
}

/** The word for people. */
export function wordFor({ stage, attempts, ended }: MoveState): DiskMoveState {
  if (ended !== undefined) return ended.outcome;
  return stage === 'copying' && attempts === 0 ? 'planned' : stage;
}
