import { systemClock } from '../../src/clock.ts';
import { HypervPlace } from '../managers/hyperv/place.ts';
import { COPIES_NONE, runManagedConformance } from './managed.ts';

// Against pretended hosts: the driver has never been run against real ones.
runManagedConformance({
  name: 'hyperv',
  make: async () => {
    const place = await HypervPlace.open();
    // Long enough for a second order on a slow machine.
    place.world.taskMs = 1500;
    place.world.guest('web1', 'hv1');
    return {
      driver: place.driver(),
      sourceHost: 'a',
      order: place.order('web1'),
      tasks: () => place.world.jobs.length,
      pause: (signal) => systemClock.sleep(20, signal),
      dispose: () => place.close(),
    };
  },
  skip: [COPIES_NONE],
});
