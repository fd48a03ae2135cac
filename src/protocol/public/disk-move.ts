import { z } from 'zod';
import { serialError } from '../errors.ts';
import { bytes, guestName, hostName, moment, ms, shortText } from '../names.ts';
import { runAtSide } from './resolve.ts';

/** Move of a running guest's disk within its host. */

export const diskMoveId = z.string().regex(/^d-[0-9a-z]{8,32}$/, 'the id of a disk’s move: d-...');
const file = z.string().min(1).max(4096);

export const diskMoveRequest = z.object({
  guest: guestName,
  disk: z.string().min(1).max(256),
  /** A new file or a directory below one of the host's `storage`, or a unique end of such a path. */
  to: file,
  /** Cap of the copy, bytes/s. */
  maxBandwidth: z.number().int().min(1024).optional(),
  /** Keeps the old image under another name; absent: it is removed. */
  keepSource: z.boolean().optional(),
});
export type DiskMoveRequest = z.infer<typeof diskMoveRequest>;

export const diskMoveState = z.enum([
  'planned',
  'copying',
  'switching',
  'tidying',
  'undoing',
  'done',
  'failed',
  'cancelled',
]);
export type DiskMoveState = z.infer<typeof diskMoveState>;

export function isMoveEnd(state: DiskMoveState): boolean {
  return state === 'done' || state === 'failed' || state === 'cancelled';
}

export const diskMoveProgress = z.object({
  id: diskMoveId,
  guest: guestName,
  host: hostName,
  disk: z.string().max(256),
  from: file,
  to: file,
  state: diskMoveState,
  copiedBytes: bytes,
  /** Grows with the guest's writes. */
  totalBytes: bytes,
  /** bytes/s; 0 if unknown. */
  rate: bytes,
  etaMs: ms.optional(),
  elapsedMs: ms,
  startedAt: moment,
  waitedMs: ms.optional(),
  note: shortText.optional(),
  /** The old image, if it was not removed. */
  kept: file.optional(),
  error: serialError.optional(),
  /**
   * The move's journal is unreadable (`error`): its stage is unknown, `state` is a placeholder, and nothing is done.
   */
  held: z.boolean().optional(),
});
export type DiskMoveProgress = z.infer<typeof diskMoveProgress>;

/** An operator's possible answer about a held disk move: the guest uses the old image (`source`) or the new one. */
export const diskMoveAnswer = z.object({
  runAt: runAtSide,
  /** `waits`: refused while the hypervisor has a job of it or does not answer. */
  verdict: z.enum(['safe', 'risky', 'waits', 'wrong']),
  why: shortText,
});
export type DiskMoveAnswer = z.infer<typeof diskMoveAnswer>;

export const diskMoveResolution = z.object({
  id: diskMoveId,
  host: hostName,
  /** Absent if no file of the move can be read: it may use any disk of the host. */
  guest: guestName.optional(),
  disk: z.string().max(256).optional(),
  from: file.optional(),
  to: file.optional(),
  error: serialError,
  /** Typed by the operator: the guest's name, or the id if no file names the guest. */
  confirm: z.string().max(128),
  answers: z.array(diskMoveAnswer).max(2),
});
export type DiskMoveResolution = z.infer<typeof diskMoveResolution>;

export const diskMoveResolveRequest = z.object({
  runAt: runAtSide,
  confirm: z.string().max(128),
  /** The operator has checked the disk; required unless the hypervisor reports which image it uses. */
  iKnow: z.boolean().default(false),
});
export type DiskMoveResolveRequest = z.infer<typeof diskMoveResolveRequest>;
