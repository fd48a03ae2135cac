import { systemClock } from '../../src/clock.ts';
import { FakeManager } from '../../sim/fake/managed.ts';
import { orderOf } from '../../src/migration/managed/events.ts';
import { migrationSettings } from '../../src/protocol/public/migration.ts';
import { runManagedConformance } from './managed.ts';

runManagedConformance({
  name: 'fake',
  make: async () => {
    const copies = [
      { name: 'vda', file: '/d/web1.raw', format: 'raw', sizeBytes: 1024, place: 'd' },
    ];
    const options = { clock: systemClock, random: () => 0.5, taskMs: 30, copies };
    const manager = new FakeManager(options);
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
      made: async () => [...manager.volumes.keys()].map((each) => each.slice('b:'.length)),
      pause: (signal) => systemClock.sleep(2, signal),
      dispose: async () => {},
    };
  },
  skip: [],
});
