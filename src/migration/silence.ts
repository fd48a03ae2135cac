import type { DestinationState } from './destination.ts';

/**
 * What a destination does by itself once its source has been silent for long.
 * `release`: refuse, and take down what is here. `finish`: the guest runs here and has all that it needs: settle it.
 * `bury`: it ran here and its hypervisor has ended: take down what is left. `wait`: none of these may be done.
 */
export type OnSilence = 'release' | 'finish' | 'bury' | 'wait';

export function onSilence(state: DestinationState): OnSilence {
  const { right, stage, hypervisor } = state;
  if (stage === 'released' || stage === 'finished') return 'wait';
  if (right === 'running') {
    if (hypervisor === 'gone') return 'bury';
    return hypervisor === 'running' ? 'finish' : 'wait';
  }
  return mayHoldTheGuest(state) ? 'wait' : 'release';
}

/**
 * After pre-copy the source still has a whole copy, which a refusal gives back to it. Once post-copy has begun, no refusal
 * brings the devices' state back: what is here may be all there is.
 */
function mayHoldTheGuest({ right, unsure, hypervisor, postcopy }: DestinationState): boolean {
  return right === 'armed' && !unsure && postcopy && hypervisor !== 'gone';
}
