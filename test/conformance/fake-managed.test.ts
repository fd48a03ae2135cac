import { systemClock } from '../../src/clock.ts';
import { fakeManager } from '../../src/drivers/registry.ts';
import { orderOf } from '../../src/migration/managed/events.ts';
import { migrationSettings } from '../../src/protocol/public/migration.ts';
import { runManagedConformance } from './managed.ts';

runManagedConformance({
  name: 'fake',
  make: async () => {
    const manager = await fakeManager({ clock: systemClock, random: () => 0.5, taskMs: 30 });
    manager.guests.set('web1', 'a');
    return {
      driver: manager.driver('a'),
      sourceHost: 'a',
      order: orderOf({
        id: 'm-00000001',
        guest: 'web1',
        from: 'a',
        to: 'b',
        settings: migrationSettings.parse({}),
      }),
      tasks: () => manager.tasks.length,
      pause: (signal) => systemClock.sleep(2, signal),
      dispose: async () => {},
    };
  },
  skip: [],
});
