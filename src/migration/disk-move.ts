import { z } from 'zod';
import { guestHandle } from '../protocol/mover/handle.ts';
import { diskMoveId, diskMoveRequest, type DiskMoveState } from '../protocol/public/disk-move.ts';
import { serialError } from '../protocol/errors.ts';
import type { SerialError } from '../errors.ts';
import { bytes, moment, ms, shortText } from '../protocol/names.ts';

/**
 * A disk's move on its host. At any instant the guest's disk is whole in one image. A hypervisor that lives says which
 * one; otherwise the journal does. Pure.
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

export interface MoveState {
  readonly plan: DiskMovePlan;
  /** Times that copying was begun. */
  readonly attempts: number;
  readonly cancelAsked: boolean;
  readonly error: SerialError | undefined;
  readonly side: 'old' | 'switching' | 'new';
  readonly ended: Extract<DiskMoveEvent, { type: 'ended' }> | undefined;
}

export function beginMove(plan: DiskMovePlan): MoveState {
  const fresh = { attempts: 0, cancelAsked: false, error: undefined, ended: undefined };
  return { plan, side: 'old', ...fresh };
}

export function moveAfter(state: MoveState, happened: DiskMoveEvent): MoveState {
  switch (happened.type) {
    case 'begun':
      return state;
    case 'copying':
      return { ...state, attempts: state.attempts + 1 };
    case 'cancel':
      return state.side === 'old' ? { ...state, cancelAsked: true } : state;
    case 'trouble':
      return { ...state, error: happened.error, side: 'old' };
    case 'switching':
      return { ...state, side: 'switching' };
    case 'switched':
      return { ...state, side: 'new' };
    case 'ended':
      return { ...state, ended: happened };
  }
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

export const MAX_ATTEMPTS = 3;

/** What is to be done next. The hypervisor's word counts before the journal's, which counts once that is gone. */
export function decideMove(state: MoveState, sight: MoveSight): MoveDeed {
  if (state.ended !== undefined) return 'nothing';
  if (sight.hypervisor === 'gone') return state.side === 'old' ? 'discard' : 'settle';
  if (sight.on === 'new') return 'settle';
  if (sight.on === 'neither') return 'leave';
  if (state.side !== 'old') {
    if (sight.job === 'pending') return 'finalize';
    // The word was refused, or somebody has broken it off: the guest has gone on with the old one.
    return sight.job === 'ending' ? 'wait' : 'fail';
  }
  if (state.cancelAsked || state.error !== undefined) {
    return sight.job !== 'none' || sight.open ? 'drop' : 'discard';
  }
  switch (sight.job) {
    case 'none':
      return state.attempts < MAX_ATTEMPTS ? 'begin' : 'fail';
    case 'copying':
      return sight.nearly && !sight.isWriteBlocking ? 'write-blocking' : 'wait';
    case 'ending':
      return 'wait';
    case 'ready':
      return sight.isWriteBlocking ? 'complete' : 'write-blocking';
    case 'pending':
      return 'switch';
    case 'ended':
    case 'failed':
      return 'fail';
  }
}

/** The word for people. */
export function wordFor(state: MoveState): DiskMoveState {
  if (state.ended !== undefined) return state.ended.outcome;
  if (state.side === 'new') return 'tidying';
  if (state.side === 'switching') return 'switching';
  if (state.cancelAsked || state.error !== undefined) return 'undoing';
  return state.attempts === 0 ? 'planned' : 'copying';
}
