import { z } from 'zod';
import type { BootTime } from '../boot-time.ts';

/**
 * The right to run: exactly one copy of a guest may run. It is a token with an epoch; the source holds it at first.
 * These are the only rules by which it changes hands; both state machines and the exhaustive model call them.
 */
export const sourceRight = z.enum([
  /** The guest is the source's; nothing was promised. */
  'held',
  /** Armed(epoch) is written on both sides: the guest may be about to leave. */
  'armed',
  /** Commit is being sent; whether it arrived is not known. */
  'committing',
  /** The destination has said that it runs. */
  'passed',
  /** The epoch is closed: no commit was or will be sent under it. */
  'abandoned',
]);
export type SourceRight = z.infer<typeof sourceRight>;

export const destinationRight = z.enum(['none', 'armed', 'running', 'refused']);
export type DestinationRight = z.infer<typeof destinationRight>;

/**
 * What replaces the other side's own statement that it does not run the guest. `observed`: its host answers and has no
 * process of it; `fenced`: its host was shown to be off; `operator`: a person answers for it.
 */
export const proof = z.enum(['observed', 'fenced', 'operator']);
export type Proof = z.infer<typeof proof>;

/** Names one boot of a host's kernel. */
export const bootName = z.string().max(64);
/** Since the start of that boot, suspended time included, ms. */
export const uptimeMs = z.number().nonnegative();
/** As a journal has it; undefined if it lacks one of the two, as an earlier build's does. */
export function bootTimeIn(event: {
  readonly bootId?: string | undefined;
  readonly uptimeMs?: number | undefined;
}): BootTime | undefined {
  const { bootId, uptimeMs: at } = event;
  return bootId === undefined || at === undefined ? undefined : { bootId, uptimeMs: at };
}

/** `proved`: without the destination's refusal it is known, or a person answers for it, that it does not run the guest. */
export type SourceRightEvent = 'arm' | 'commit' | 'running' | 'refused' | 'abandon' | 'proved';

/** The source's next right; undefined where the rules forbid the change. */
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
      // Once a commit may be on its way, only the destination's refusal closes the epoch.
      return right === 'committing' || right === 'passed' ? undefined : 'abandoned';
  }
}

/**
 * Whether the source may run a guest on whose stream broke off before everything was handed over. Most hypervisors do so
 * by themselves; it is as good here, since as long as no commit was sent nobody else may run it.
 */
export function sourceMayRunOn(right: SourceRight): boolean {
  return right !== 'committing' && right !== 'passed';
}

/**
 * `overrule`: the source has closed the epoch without this side's refusal, on a proof or a person's decision. `never-ran`: it
 * was committed here, and its hypervisor is gone and provably did not come to run it.
 */
export type DestinationRightEvent = 'arm' | 'commit' | 'refuse' | 'overrule' | 'never-ran';

/** The destination's next right; undefined where it must say no. The epoch has been compared before. */
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
 * Whether a mover that took over may still confirm that the guest never ran here. After a reboot of the host
 * the unsynced record of a commit may be missing, so an armed destination can no longer know.
 */
export function knowsItNeverRan(
  right: DestinationRight,
  armedBootId: string | undefined,
  bootId: string,
): boolean {
  if (right === 'running') return false;
  return right !== 'armed' || armedBootId === bootId;
}
