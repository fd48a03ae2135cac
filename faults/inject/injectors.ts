import { labHost, storageDirectory } from '../../lab/state.ts';
import type { Fault } from '../cell.ts';
import { stepClock } from './clock.ts';
import { fullDisk, readonlyDisk } from './disk.ts';
import type { Injector, FaultSite } from './injector.ts';
import { darkLink, oneWayLink, resetLink, slowLink } from './link.ts';
import { brokenStorage } from './storage.ts';
import { upgradeAgent } from './upgrade.ts';
import { freezeMover, killAgent, killMover, killQemu } from './processes.ts';

/** Makes a fault ready. */
export async function injectorOf(fault: Fault, place: FaultSite): Promise<Injector> {
  switch (fault) {
    case 'kill-source-mover':
      return killMover('source');
    case 'kill-destination-mover':
      return killMover('destination');
    case 'kill-source-agent':
      return killAgent(place, place.from);
    case 'kill-destination-agent':
      return killAgent(place, place.to);
    case 'kill-source-qemu':
      return killQemu('source');
    case 'kill-destination-qemu':
      return killQemu('destination');
    case 'freeze-source-mover':
      return freezeMover('source');
    case 'freeze-destination-mover':
      return freezeMover('destination');
    case 'link-reset':
      return resetLink(place);
    case 'link-dark-5s':
    case 'link-dark-40s':
      return darkLink(place);
    case 'link-slow':
      return slowLink(place);
    case 'link-one-way':
      return oneWayLink(place);
    case 'disk-full':
      return fullDisk(labHost(place.lab, place.to).stateDir, `the disk of ${place.to}`);
    case 'storage-full':
      return fullDisk(storageDirectory(place.lab, place.to), `the storage of ${place.to}`);
    case 'storage-error':
      return brokenStorage(place);
    case 'disk-readonly':
      return readonlyDisk(place);
    case 'clock-step':
      return stepClock(place);
    case 'agent-newer':
      return upgradeAgent(place);
    default:
      throw new Error(`${fault} is a fault of containers`);
  }
}
