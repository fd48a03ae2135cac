import type { Phase } from '../../protocol/public/migration.ts';
import type { DestinationState } from './destination.ts';

/**
 * What a destination does by itself once its source has been silent for long.
 * `release`: refuse, and take down what is here. `finish`: the guest runs here and has all that it needs: settle it.
 * `tear-down`: it ran here and its hypervisor has ended: take down what is left. `wait`: none of these may be done.
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

/** Of a source without which nothing is lost, ms. */
const SHORT_SILENCE_MS = 20_000;

/**
 * How long a source may be silent before the destination takes it that it has given up, whatever became of it, ms;
 * `sourceSilenceMs` as configured. Nothing rests on a destination that is not armed yet, nor on one whose guest has ended.
 */
export function leaseMs(state: DestinationState, sourceSilenceMs: number): number {
  const isIdle = state.right === 'none' || onSilence(state) === 'tear-down';
  return isIdle ? Math.min(SHORT_SILENCE_MS, sourceSilenceMs) : sourceSilenceMs;
}

/** What a destination does that hears, instead of its source's mover, how the migration has ended there. */
export function afterSourceEnd(state: DestinationState, ended: Phase): OnSilence {
  const action = onSilence(state);
  switch (ended) {
    case 'rehearsed':
    case 'failed':
    case 'cancelled':
      return action === 'release' ? 'release' : 'wait';
    case 'lost':
      if (action === 'release') return 'release';
      // Whatever is here then lacks memory that nobody has any more; a guest that is whole is none of it.
      return state.right === 'running' && state.hypervisor !== 'running' ? 'tear-down' : 'wait';
    case 'done':
      return action === 'finish' ? 'finish' : 'wait';
    default:
      return 'wait';
  }
}

/**
 * After pre-copy the source still has a whole copy, which a refusal gives back to it. Once post-copy has begun, no refusal
 * brings the devices' state back: what is here may be all there is.
 */
function mayHoldTheGuest(state: DestinationState): boolean {
  const { right, unsure, hypervisor, streamFailed, postcopy } = state;
  return right === 'armed' && !unsure && postcopy && hypervisor !== 'gone' && !streamFailed;
}
