import {
  destinationAfter,
  destinationEvent,
  type DestinationEvent,
  type DestinationState,
} from '../../migration/direct/destination/destination.ts';
import { destinationRecord, sourceRecord } from '../../migration/direct/journal.ts';
import { progressOf } from '../../migration/report/progress.ts';
import {
  sourceEvent,
  type SourceEvent,
  type SourceState,
} from '../../migration/direct/source/source-state.ts';
import { transition } from '../../migration/direct/source/transition.ts';
import { running } from '../../protocol/peer/migration.ts';

/**
 * Runs the pure code of the blackout once in advance, on made-up events, because first runs compile. Results are
 * dropped.
 */

const HEAD = { v: 1, seq: 0, at: 0, mono: 0 } as const;
const RUNNING = { epoch: 1, runningAt: new Date(0).toISOString(), resumeMs: 0 };

/** Warms the code from the guest's stop to the destination's answer, by pre-copy and by post-copy. */
export function warmSource(state: SourceState): void {
  const orders = [
    ['stopped', 'device', 'completed'],
    ['stopped', 'pre-switchover', 'device', 'completed'],
    ['stopped', 'pre-switchover', 'device', 'postcopy-active'],
  ] as const;
  for (const order of orders) {
    const events: SourceEvent[] = order.map((type) => ({ type: 'hypervisor', event: { type } }));
    events.push({ type: 'did', step: 'commit', facts: { running: RUNNING } });
    let after = state;
    for (const event of events) {
      sourceEvent.safeParse(event);
      sourceRecord.safeParse({ ...HEAD, event });
      after = transition(after, event).state;
      progressOf(after, undefined, 0);
    }
  }
  running.safeParse(RUNNING);
}

/** Warms the code from commit to its answer. */
export function warmDestination(state: DestinationState): void {
  const { epoch } = state.admission;
  const events: DestinationEvent[] = [
    { type: 'hypervisor', event: { type: 'completed' } },
    { type: 'hypervisor', event: { type: 'postcopy-active' } },
    { type: 'committed', epoch },
    { type: 'hypervisor', event: { type: 'resumed' } },
    { type: 'running', epoch, resumeMs: 0 },
  ];
  let after = state;
  for (const event of events) {
    destinationEvent.safeParse(event);
    destinationRecord.safeParse({ ...HEAD, event });
    after = destinationAfter(after, event);
  }
  running.safeParse(RUNNING);
}
