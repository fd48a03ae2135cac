import type { Phase } from '../../../protocol/public/migration.ts';
import type { DestinationState } from './destination.ts';

/**
 * Reaction of a destination to a long silence of its source. `release`: refuse and clean up. `finish`: the guest runs
 * here with everything it needs, so settle it. `tear-down`: it ran here and ended, so clean up. `wait`: do nothing.
 */
export type OnSilence = 'release' | 'finish' | 'tear-down' | 'wait';

export function onSilence(state: DestinationState): OnSilence {
  const { right, stage, hypervisor } = state;
  if (stage === 'released' || stage === 'finished') return 'wait';
  if (right === 'running') {
    if (hypervisor === 'gone') return 'tear-down';
    return hypervisor === 'running' ? 'finish' : 'wait';
  }
  return mayHoldTheGuest(state) ? 'wait' : 'release';
}

/** Used if nothing can be lost, ms. */
const SHORT_SILENCE_MS = 20_000;

/**
 * Silence of the source until its destination acts by itself, ms. The short time applies to a destination that is not
 * armed yet or whose guest has ended; otherwise `sourceSilenceMs`.
 */
export function leaseMs(state: DestinationState, sourceSilenceMs: number): number {
  const isIdle = state.right === 'none' || onSilence(state) === 'tear-down';
  return isIdle ? Math.min(SHORT_SILENCE_MS, sourceSilenceMs) : sourceSilenceMs;
}

/** Reaction to the report of the source's host on how the migration ended there. */
export function afterSourceEnd(state: DestinationState, ended: Phase): OnSilence {
  const action = onSilence(state);
  switch (ended) {
    case 'rehearsed':
    case 'failed':
    case 'cancelled':
      return action === 'release' ? 'release' : 'wait';
    case 'lost':
      if (action === 'release') return 'release';
      // A copy that does not run now lacks memory that is lost everywhere; a running one is whole.
      return state.right === 'running' && state.hypervisor !== 'running' ? 'tear-down' : 'wait';
    case 'done':
      return action === 'finish' ? 'finish' : 'wait';
    default:
      return 'wait';
  }
}

/**
 * After pre-copy, a refusal gives the source its whole copy back. After post-copy has begun, the device state cannot
 * return, so this may be the only copy.
 */
function mayHoldTheGuest(state: DestinationState): boolean {
  const { right, unsure, hypervisor, streamFailed, postcopy } = state;
  return right === 'armed' && !unsure && postcopy && hypervisor !== 'gone' && !streamFailed;
}
