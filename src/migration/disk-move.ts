import { z } from 'zod';
import { guestHandle } from '../protocol/mover/handle.ts';
import { diskMoveId, diskMoveRequest, type DiskMoveState } from '../protocol/public/disk-move.ts';
import { serialError } from '../protocol/errors.ts';
import type { SerialError } from '../errors.ts';
import { MAX_ATTEMPTS } from './engine/rows.ts';
import { bytes, moment, ms, shortText } from '../protocol/names.ts';

/**
 * Lifecycle of a disk move on one host. The hypervisor copies the disk and switches to the new image; the agent
 * repeats: look, decide by `DEEDS`, act. The guest's disk is whole in one image at any instant. A running hypervisor
 * reports which one; without it, the journal decides. Pure.
 *
 *   begun -> copying ------ switching ------> switching ------ switched ------> tidying -> done
 *              |  ^                              |     |
 *              |  +-- copying: not synced -------+     |
 *              +-- cancel, trouble --> undoing <-------+ trouble: the guest is still on the old image
 *                                         +-> failed | cancelled
 *
 * Boxes are stages and arrows are records. decisions/0027 explains why this lifecycle does not use the common
 * engine.
 */

const file = z.string().min(1).max(4096);

/** First record of the journal: everything that another agent needs to finish the move. */
export const diskMovePlan = z.object({
  id: diskMoveId,
  request: diskMoveRequest,
  handle: guestHandle,
  /** Boot of the host when the move began; absent in an earlier build's journal. */
  bootId: z.string().max(64).optional(),
  createdAt: moment,
  /** Image that the guest writes to, and its identity. */
  from: file,
  identity: z.string().max(64),
  to: file,
  directories: z.array(file).max(64),
  work: z.unknown(),
});
export type DiskMovePlan = z.infer<typeof diskMovePlan>;

const event = z.discriminatedUnion('type', [
  z.object({ type: z.literal('begun'), plan: diskMovePlan }),
  z.object({ type: z.literal('copying') }),
  z.object({ type: z.literal('cancel') }),
  z.object({ type: z.literal('trouble'), error: serialError }),
  /**
   * Both images are equal and synced, and guest writes wait. If the hypervisor cannot be asked from here on, the new
   * image is the guest's disk.
   */
  z.object({ type: z.literal('switching') }),
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

export type Stage =
  /** The guest is on the old image; a cancel is possible. */
  | 'copying'
  /** Recorded before the order: without the hypervisor's report, the new image is the guest's disk. */
  | 'switching'
  /** The guest is on the new image. */
  | 'tidying'
  /** The guest is on the old image, and the new image is removed. */
  | 'undoing';

export interface MoveState {
  readonly plan: DiskMovePlan;
  readonly stage: Stage;
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

const AFTER: Readonly<Record<DiskMoveEvent['type'], Stages>> = {
  begun: STAYS,
  // If the record of a switch cannot be synced, the copy starts again.
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

/** True if a cancel now keeps the guest on its old image. */
export function canCancel({ stage }: Pick<MoveState, 'stage'>): boolean {
  return stage === 'copying' || stage === 'undoing';
}

export function replayMove(events: readonly DiskMoveEvent[]): MoveState | undefined {
  const [first, ...rest] = events;
  if (first?.type !== 'begun') return undefined;
  return rest.reduce(moveAfter, beginMove(first.plan));
}

export interface MoveSight {
  readonly hypervisor: 'lives' | 'gone';
  readonly on: 'old' | 'new' | 'neither';
  /** `pending`: both images are equal, guest writes wait, and only the final order is missing. */
  readonly job: 'none' | 'copying' | 'ready' | 'ending' | 'pending' | 'ended' | 'failed';
  readonly open: boolean;
  /** The first pass is over, or little is left: guest writes should wait for both images. */
  readonly nearly: boolean;
  /** Guest writes already go to both images, or cannot be made to. */
  readonly isWriteBlocking: boolean;
}

export type MoveDeed =
  | 'begin'
  | 'wait'
  | 'write-blocking'
  /** Takes the job to the state with equal images, then switches. */
  | 'complete'
  | 'switch'
  /** Repeats the final order; the switch is already journaled. */
  | 'finalize'
  /** Closes the old image; the guest is on the new one. */
  | 'settle'
  /** Removes the job and the new image from the hypervisor. */
  | 'drop'
  /** Removes the new image, which no program has open. */
  | 'discard'
  | 'fail'
  /** The guest is on neither image; another program changed it. Removes nothing. */
  | 'leave'
  | 'nothing';

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

/** `gone`: the hypervisor ended. Otherwise the guest's image if it is not the old one, or the state of the job. */
type MoveCondition = 'gone' | Exclude<MoveSight['on'], 'old'> | MoveSight['job'];

/**
 * Next action. A running hypervisor's report outranks the journal. A switch that was refused or aborted after its
 * record counts as failed, since the guest stayed on the old image.
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

export function wordFor({ stage, attempts, ended }: MoveState): DiskMoveState {
  if (ended !== undefined) return ended.outcome;
  return stage === 'copying' && attempts === 0 ? 'planned' : stage;
}
