import type { Durability } from '../durability.ts';
import type { DestinationEvent } from './destination/destination.ts';
import type { SourceEvent } from './source/source-state.ts';

/**
 * When the event's record must be on disk. While memory moves and until the guest runs at its destination, records
 * are `later`, because a sync would lengthen the blackout. All others are synced before their effects.
 */
export function durability(event: SourceEvent): Durability {
  switch (event.type) {
    case 'copied':
      return 'spared';
    case 'measured':
      // The report shows the last sample.
      return event.final ? 'later' : 'spared';
    case 'hypervisor':
    case 'capped':
    case 'decided':
    case 'unset':
    case 'stalled':
    case 'flows':
    case 'wire':
    case 'disk-link':
    case 'latency':
      return 'later';
    case 'did':
      // `armed` was synced before the guest stopped; after a power loss, the destination is asked.
      if (event.step === 'commit') return 'soon';
      return event.step === 'drain' ? 'later' : 'sync';
    case 'compared':
    case 'inflating':
    case 'planned':
    case 'failed':
    case 'undid':
    case 'undo-failed':
    case 'destination-lost':
    case 'recovery-failed':
    case 'cancel':
    case 'timeout':
    case 'taken-over':
    case 'resolved':
    case 'fenced':
    case 'restarted':
    case 'restart-failed':
    case 'gave-up':
    case 'give-up-failed':
      return 'sync';
  }
}

/**
 * No record is synced in the blackout; `armed` was synced before. In a cold move, `prepared` follows `committed` and
 * is synced, so both are on disk before the guest runs. A power loss may lose `running`, so a mover of a later boot
 * concludes nothing from its absence (runGuest).
 */
export function destinationDurability(event: DestinationEvent): Durability {
  if (event.type === 'running') return 'soon';
  return event.type === 'hypervisor' || event.type === 'committed' ? 'later' : 'sync';
}
