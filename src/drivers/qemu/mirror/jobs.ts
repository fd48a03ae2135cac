import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { DiskSample } from '../../../port/disks.ts';

const PREFIX = 'godwit-nbd-';

/**
 * Unused null node that marks complete copies: while it exists, each copy was complete at its release. It lives
 * in this QEMU, so a mover that takes over sees it.
 */
export const WHOLE_MARK = 'godwit-disks-whole';

/** Name of a node's copy job, and of the node for the other host's export. It can be derived by every mover. */
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
      // Only a ready job ends without an error; a job that is aborted earlier reports its cancellation.
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
  // An error on this side would end the job, so this one is the other side's.
  if (job['io-status'] !== 'ok') {
    const reason = 'what was sent could not be written at the destination, or it cannot be reached';
    return { ...figures, state: 'broken', failure: { kind: 'target', reason } };
  }
  // `paused` is not used: QEMU's drains pause a job for moments, including the drain at its end.
  return { ...figures, state: job.ready ? 'ready' : 'copying' };
}

function endOf(reason: string): NonNullable<DiskSample['failure']> {
  return { kind: /No space left/.test(reason) ? 'full' : 'source', reason };
}

/** Action of `start` for a node. `begin-over` removes a half-finished attempt first. */
export type Move = 'leave' | 'begin' | 'begin-over' | 'resume' | 'refuse';

/**
 * An ended copy is never restarted: the target is no longer empty, and empty ranges are not sent. It does not
 * count as complete either, because later guest writes were not copied. `connected`: the node for the other host
 * exists.
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

export function goesOn(job: BlockJob | undefined, offset: number): boolean {
  if (job === undefined) return true;
  const { state, failure } = judge('', job, false);
  // Resuming would change nothing: the sample reports the state.
  if (state === 'failed' || state === 'whole' || failure?.kind === 'full') return true;
  return state !== 'broken' && (job.offset > offset || job.offset >= job.len);
}
