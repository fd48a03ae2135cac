import { z } from 'zod';
import type { BootTime } from '../boot-time.ts';

/**
 * Right to run: exactly one copy of a guest may run. The right is a token with an epoch, and the source holds it
 * first. Only these rules move it; both state machines and the exhaustive model call them.
 */
export const sourceRight = z.enum([
  /** The source owns the guest and has promised nothing. */
  'held',
  /** Armed(epoch) is written on both sides. */
  'armed',
  /** Commit is being sent and may have arrived. */
  'committing',
  /** The destination reported that it runs the guest. */
  'passed',
  /** The epoch is closed: no commit is sent under it. */
  'abandoned',
]);
export type SourceRight = z.infer<typeof sourceRight>;

export const destinationRight = z.enum(['none', 'armed', 'running', 'refused']);
export type DestinationRight = z.infer<typeof destinationRight>;

/**
 * Substitute for the other side's refusal. `observed`: its host answers and has no process of it; `fenced`: its host
 * was shown to be off; `operator`: an operator answers for it.
 */
export const proof = z.enum(['observed', 'fenced', 'operator']);
export type Proof = z.infer<typeof proof>;

export const bootName = z.string().max(64);
/** Time since that boot, including suspends, ms. */
export const uptimeMs = z.number().nonnegative();
/** Undefined if the record lacks either part, as an earlier build's does. */
export function bootTimeIn(event: {
  readonly bootId?: string | undefined;
  readonly uptimeMs?: number | undefined;
}): BootTime | undefined {
  const { bootId, uptimeMs: at } = event;
  return bootId === undefined || at === undefined ? undefined : { bootId, uptimeMs: at };
}

/** `proved`: a proof or an operator shows, without a refusal, that the destination does not run the guest. */
export type SourceRightEvent = 'arm' | 'commit' | 'running' | 'refused' | 'abandon' | 'proved';

export function sourceRightAfter(
  right: SourceRight,
  event: SourceRightEvent,
): SourceRight | undefined {
  switch (event) {
    case 'arm':
      return right === 'held' || right === 'armed' ? 'armed' : undefined;
    case 'commit':
      return right === 'armed' || right === 'committing' ? 'committing' : undefined;
    case 'running':
      return right === 'committing' || right === 'passed' ? 'passed' : undefined;
    case 'refused':
    case 'proved':
      return right === 'passed' ? undefined : 'abandoned';
    case 'abandon':
      // After a commit may have been sent, only a refusal closes the epoch.
      return right === 'committing' || right === 'passed' ? undefined : 'abandoned';
  }
}

/**
 * True if the source may run a guest whose stream broke before everything was handed over. Most hypervisors resume it
 * by themselves, which is safe, because no other host may run it before a commit is sent.
 */
export function sourceMayRunOn(right: SourceRight): boolean {
  return right !== 'committing' && right !== 'passed';
}

/**
 * `overrule`: the source closed the epoch without this side's refusal, on a proof or an operator's decision.
 * `never-ran`: it was committed here, but its hypervisor is gone and provably did not run it.
 */
export type DestinationRightEvent = 'arm' | 'commit' | 'refuse' | 'overrule' | 'never-ran';

/** Undefined if it must refuse. The caller has compared the epochs. */
export function destinationRightAfter(
  right: DestinationRight,
  event: DestinationRightEvent,
): DestinationRight | undefined {
  switch (event) {
    case 'arm':
      return right === 'none' || right === 'armed' ? 'armed' : undefined;
    case 'commit':
      return right === 'armed' || right === 'running' ? 'running' : undefined;
    case 'refuse':
      return right === 'running' ? undefined : 'refused';
    case 'overrule':
    case 'never-ran':
      return 'refused';
  }
}

/**
 * True if a mover that took over can still confirm that the guest never ran here. After a reboot, an armed
 * destination cannot, because the unsynced record of a commit may be lost.
 */
export function knowsItNeverRan(
  right: DestinationRight,
  armedBootId: string | undefined,
  bootId: string,
): boolean {
  if (right === 'running') return false;
  return right !== 'armed' || armedBootId === bootId;
}
