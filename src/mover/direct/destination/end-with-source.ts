import { afterSourceEnd } from '../../../migration/direct/silence.ts';
import type { Hands } from './silent-source.ts';
import { takeDownMs } from './destination-context.ts';

/**
 * The source's mover is silent: its agent is asked whether the migration has ended there, and what has ended there
 * ends here. Where it cannot say, nothing is done: silence alone means something only when it lasts.
 */
export async function endWithSource(hands: Hands): Promise<void> {
  const { log, others } = hands.context;
  const signal = AbortSignal.timeout(takeDownMs(hands.state()));
  const view = (await others?.askSource?.(signal))?.view;
  if (view === undefined || view.epoch !== hands.state().admission.epoch) return;
  const action = afterSourceEnd(hands.state(), view.phase);
  if (action === 'wait') return;
  log.warn({ phase: view.phase, action }, 'it has ended at the source');
  switch (action) {
    case 'release':
      // A source that lost the guest may still ask whether it ran here.
      return hands.release(
        `the migration ${view.phase} at ${view.host}`,
        signal,
        true,
        view.phase !== 'lost',
      );
    case 'tear-down':
      return hands.tearDown(signal);
    case 'finish':
      return hands.settle(signal, true);
  }
}
