import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { DiskSample } from '../../../port/disks.ts';

/** What QEMU's block jobs say of the copies of disks, and what is to be done about each. Pure. */

const PREFIX = 'godwit-nbd-';

/**
 * A node that reads as nothing and that nobody is on: while it is there, each copy was whole when it was released.
 * It lives and dies with this QEMU, so a mover that takes over knows as well.
 */
export const WHOLE_MARK = 'godwit-disks-whole';

/** Name of the job that copies a node, and of the node behind which the other host is: known to every mover. */
export function copyName(node: string): string {
  return PREFIX + createHash('sha256').update(node).digest('hex').slice(0, 16);
}

export function isCopyName(name: string): boolean {
  return name.startsWith(PREFIX);
}

const word = z.string().max(1024);
const count = z.number().nonnegative();

export const blockJobs = z
  .array(
    z.object({
      /** The job's id. */
      device: word,
      status: word,
      offset: count,
      len: count,
      ready: z.boolean(),
      'io-status': word,
      error: z.string().max(65_536).optional(),
    }),
  )
  .max(4096);
export type BlockJob = z.infer<typeof blockJobs>[number];

/** `job`: undefined where there is none; `whole`: the mark is there. */
export function judge(node: string, job: BlockJob | undefined, whole: boolean): DiskSample {
  if (job === undefined) {
    const nothing = { node, copiedBytes: 0, totalBytes: 0 };
    if (whole) return { ...nothing, state: 'whole' };
    return {
      ...nothing,
      state: 'failed',
      failure: { kind: 'source', reason: 'nothing copies it' },
    };
  }
  const figures = { node, copiedBytes: Math.min(job.offset, job.len), totalBytes: job.len };
  switch (job.status) {
    case 'concluded':
      // Only a job that was ready ends without an error: one that is broken off earlier says that it was cancelled.
      if (job.error === undefined) return { ...figures, state: 'whole' };
      return { ...figures, state: 'failed', failure: endOf(job.error) };
    case 'aborting':
    case 'null':
      return { ...figures, state: 'failed', failure: endOf(job.error ?? 'it is being broken off') };
    case 'waiting':
    case 'pending':
      return { ...figures, state: 'ready' };
    default:
  }
  if (job['io-status'] === 'nospace') {
    const reason = 'the destination has no room for it';
    return { ...figures, state: 'broken', failure: { kind: 'full', reason } };
  }
  // An error at this side would end the job, so this one is the other side's.
  if (job['io-status'] !== 'ok') {
    const reason = 'what was sent could not be written at the destination, or it cannot be reached';
    return { ...figures, state: 'broken', failure: { kind: 'target', reason } };
  }
  // `paused` says nothing: QEMU's own drains pause a job for moments, also the one at its end.
  return { ...figures, state: job.ready ? 'ready' : 'copying' };
}

function endOf(reason: string): NonNullable<DiskSample['failure']> {
  return { kind: /No space left/.test(reason) ? 'full' : 'source', reason };
}

/** What a `start` has to do for a node. `begin` comes after the removal of what an earlier one left half made. */
export type Move = 'leave' | 'begin' | 'begin-over' | 'resume' | 'refuse';

/**
 * A copy that has ended is never begun again: the image there is no longer empty, and empty ranges here are not sent.
 * Nor does it count as whole, since nothing has followed the guest's writes from then on. `connected`: the node behind
 * which the other host is exists.
 */
export function moveFor(job: BlockJob | undefined, connected: boolean): Move {
  if (job === undefined) return connected ? 'begin-over' : 'begin';
  switch (judge('', job, false).state) {
    case 'copying':
    case 'ready':
      return 'leave';
    case 'broken':
      return 'resume';
    case 'whole':
    case 'failed':
      return 'refuse';
  }
}

/** Whether a job that was resumed goes on; `offset`: where it stood. */
export function goesOn(job: BlockJob | undefined, offset: number): boolean {
  if (job === undefined) return true;
  const { state, failure } = judge('', job, false);
  // Going on would change nothing: the sample reports it.
  if (state === 'failed' || state === 'whole' || failure?.kind === 'full') return true;
  return state !== 'broken' && (job.offset > offset || job.offset >= job.len);
}
