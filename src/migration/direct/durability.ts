import type { Durability } from '../durability.ts';
import type { DestinationEvent } from './destination.ts';
import type { SourceEvent } from './source-state.ts';

/**
 * Whether the event's record must lie on the disk before its effects: all but those inside the blackout. What is written
 * from the start of memory until the guest runs at its destination is `later`: a disk that syncs inside the blackout
 * would make it longer.
 */
export function durability(event: SourceEvent): Durability {
  switch (event.type) {
    case 'copied':
      return 'spared';
    case 'measured':
      // The last one is what the report shows.
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
      // `armed` is on the disk since before the guest stopped; after a power loss the destination is asked.
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
 * No record of the blackout is synced inside it; `armed` lies on the disk since before. In a cold move `prepared` follows
 * `committed` and is synced, so both are on the disk before the guest runs. `running` may be lost with the host's power: a
 * mover of a later boot then concludes nothing from its absence (runGuest).
 */
export function destinationDurability(event: DestinationEvent): Durability {
  if (event.type === 'running') return 'soon';
  return event.type === 'hypervisor' || event.type === 'committed' ? 'later' : 'sync';
}
