import { z } from 'zod';
import { serialError } from '../errors.ts';
import { bytes, guestName, hostName, moment, ms, shortText } from '../names.ts';
import { runAtSide } from './resolve.ts';

/** A running guest's disk that is moved to another place of its own host. */

export const diskMoveId = z.string().regex(/^d-[0-9a-z]{8,32}$/, 'the id of a disk’s move: d-...');
const file = z.string().min(1).max(4096);

export const diskMoveRequest = z.object({
  guest: guestName,
  /** As `godwit guest` names it. */
  disk: z.string().min(1).max(256),
  /** A file that is not there yet or a directory, below one of the host's `storage`; or the last part of such a one's path. */
  to: file,
  /** Cap for what is copied, bytes/s. */
  maxBandwidth: z.number().int().min(1024).optional(),
  /** The old image stays, under another name; absent: it is removed. */
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

/** Where it stands, and after its end what it came to. */
export const diskMoveProgress = z.object({
  id: diskMoveId,
  guest: guestName,
  host: hostName,
  disk: z.string().max(256),
  from: file,
  to: file,
  state: diskMoveState,
  copiedBytes: bytes,
  /** Grows with what the guest writes meanwhile. */
  totalBytes: bytes,
  /** bytes/s; 0 while it is not known. */
  rate: bytes,
  etaMs: ms.optional(),
  elapsedMs: ms,
  startedAt: moment,
  /** For so long at most the guest's writes to it waited for the switch; absent where another agent had begun it. */
  waitedMs: ms.optional(),
  /** What is waited for, or what was not to be done at its end. */
  note: shortText.optional(),
  /** The old image, where it was not removed. */
  kept: file.optional(),
  error: serialError.optional(),
  /** Its journal cannot be read, as `error` reports: its stage is unknown, `state` stands for it, and nothing is done for it. */
  held: z.boolean().optional(),
});
export type DiskMoveProgress = z.infer<typeof diskMoveProgress>;

/** What an operator may answer to a held disk move: the guest's disk is the old image (`source`) or the new one. */
export const diskMoveAnswer = z.object({
  runAt: runAtSide,
  /** `waits`: refused until the hypervisor has no job of it, or can be asked. */
  verdict: z.enum(['safe', 'risky', 'waits', 'wrong']),
  why: shortText,
});
export type DiskMoveAnswer = z.infer<typeof diskMoveAnswer>;

export const diskMoveResolution = z.object({
  id: diskMoveId,
  host: hostName,
  /** Absent if no file of the move can be read: any disk of the host may be the one. */
  guest: guestName.optional(),
  disk: z.string().max(256).optional(),
  from: file.optional(),
  to: file.optional(),
  /** Why its journal cannot be read. */
  error: serialError,
  /** What an operator types: the guest's name, or the id if no file names the guest. */
  confirm: z.string().max(128),
  answers: z.array(diskMoveAnswer).max(2),
});
export type DiskMoveResolution = z.infer<typeof diskMoveResolution>;

export const diskMoveResolveRequest = z.object({
  runAt: runAtSide,
  confirm: z.string().max(128),
  /** The operator has looked at the disk; needed unless the hypervisor reports which image it uses. */
  iKnow: z.boolean().default(false),
});
export type DiskMoveResolveRequest = z.infer<typeof diskMoveResolveRequest>;
