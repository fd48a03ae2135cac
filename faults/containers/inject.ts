/** The faults of a container's cell. */
import path from 'node:path';
import { startTicksOf } from '../../src/system/processes/process.ts';
import { signalProcess } from '../../lab/processes.ts';
import { labHost } from '../../lab/state.ts';
import type { Fault } from '../cell.ts';
import { fullDisk } from '../inject/disk.ts';
import type { FaultSite, Injector } from '../inject/injector.ts';
import { darkLink, resetLink } from '../inject/link.ts';
import { killAgent, killMover } from '../inject/processes.ts';
import type { ContainerScene } from './scene.ts';
import { pagerOf } from './workers.ts';

export async function injectorOf(
  fault: Fault,
  place: FaultSite,
): Promise<Injector<ContainerScene>> {
  switch (fault) {
    case 'kill-source-mover':
      return killMover('source');
    case 'kill-destination-mover':
      return killMover('destination');
    case 'kill-source-agent':
      return killAgent(place, place.from);
    case 'kill-destination-agent':
      return killAgent(place, place.to);
    case 'kill-source-criu':
      return killed('the CRIU that dumps', ({ worker }) => worker);
    case 'kill-source-runc':
      return killed('the runc that dumps', ({ worker }) => worker);
    case 'kill-destination-criu':
      return killed('the CRIU that restores', ({ worker }) => worker);
    case 'kill-destination-runc':
      return killed('the runc that restores', ({ worker }) => worker);
    case 'kill-destination-pager':
      return killed('the pager', ({ lab, to }) => pagerOf(labHost(lab, to).stateDir));
    case 'kill-source-container':
      return killed('the container at its source', ({ witness, from }) => witness.pid(from));
    case 'kill-destination-container':
      return killed('the container at its destination', ({ witness, to }) => witness.pid(to));
    case 'link-reset':
      return resetLink(place);
    case 'link-dark-5s':
      return darkLink(place);
    case 'storage-full':
      // Of containers; journals have their own.
      return fullDisk(
        path.join(labHost(place.lab, place.to).stateDir, 'containers'),
        `the disk of containers of ${place.to}`,
      );
    default:
      throw new Error(`${fault} is no fault of a container`);
  }
}

function killed(
  what: string,
  find: (scene: ContainerScene) => number | undefined,
): Injector<ContainerScene> {
  return {
    strike: async (scene) => {
      const pid = find(scene);
      // One that has ended since it was seen is not hit, either.
      if (pid === undefined || startTicksOf(pid) === undefined)
        throw new Error(`${what} was not there to be hit`);
      signalProcess(pid, 'SIGKILL');
      return `SIGKILL to ${what}, pid ${pid}`;
    },
    clear: async () => {},
  };
}
