import { after, before } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import { LibvirtDriver } from '../../src/drivers/libvirt/driver.ts';
import { orderOf } from '../../src/migration/managed/events.ts';
import { migrationSettings } from '../../src/protocol/public/migration.ts';
import { LibvirtHosts } from '../drivers/libvirt/support/daemons.ts';
import { COPIES_NONE, runManagedConformance } from './managed.ts';

let hosts: LibvirtHosts;
let count = 0;

before(async () => {
  hosts = await LibvirtHosts.open();
});
after(async () => {
  await hosts?.close();
});

runManagedConformance({
  name: 'libvirt',
  make: async () => {
    count += 1;
    const guest = `moved-${process.pid}-${count}`;
    await hosts.guest('a', guest, { isPersistent: count % 2 === 0 });
    return {
      driver: new LibvirtDriver('a', hosts.options('a')),
      sourceHost: 'a',
      order: orderOf({
        id: `m-0000000${count}`,
        guest,
        from: 'a',
        to: 'b',
        settings: migrationSettings.parse({}),
      }),
      tasks: () => hosts.tasks(guest),
      pause: (signal) => systemClock.sleep(20, signal),
      dispose: () => hosts.destroy(guest),
    };
  },
  skip: [
    { ...COPIES_NONE, reason: 'these guests have no disks: test/e2e/libvirt.e2e.ts copies one' },
  ],
});
