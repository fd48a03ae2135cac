import { systemClock } from '../../src/clock.ts';
import { HypervPlace } from '../managers/hyperv/place.ts';
import type { ManagedOrder } from '../../src/migration/managed/task-sight.ts';
import { COPIES_NONE, runManagedConformance, type ManagedPlace } from './managed.ts';

async function placeFor(more: Partial<ManagedOrder>): Promise<ManagedPlace> {
  const place = await HypervPlace.open();
  // Long enough for a second order on a slow machine.
  place.world.taskMs = 1500;
  place.world.guest('web1', 'hv1');
  return {
    driver: place.driver(),
    sourceHost: 'a',
    order: { ...place.order('web1'), ...more },
    tasks: () => place.world.jobs.length,
    pause: (signal) => systemClock.sleep(20, signal),
    dispose: () => place.close(),
  };
}

// Against pretended hosts: the driver has never been run against real ones.
runManagedConformance({
  name: 'hyperv',
  make: () => placeFor({}),
  skip: [COPIES_NONE],
});

runManagedConformance({
  name: 'hyperv, storage alone,',
  make: () => placeFor({ to: 'a', datastore: String.raw`D:\VMs` }),
  skip: [COPIES_NONE],
});
