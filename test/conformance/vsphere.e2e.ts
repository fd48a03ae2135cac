import { after, before } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import { VsphereDriver } from '../../src/drivers/vsphere/driver.ts';
import { orderOf } from '../../src/migration/managed/events.ts';
import { migrationSettings } from '../../src/protocol/public/migration.ts';
import { Vcsim } from '../drivers/vsphere/support/vcsim.ts';
import { COPIES_NONE, runManagedConformance } from './managed.ts';

let vcenter: Vcsim;
let other: Vcsim;
let count = 0;

before(async () => {
  vcenter = await Vcsim.open({ guests: 24 });
  other = await Vcsim.open({ name: 'VC2_' });
});
after(async () => {
  await vcenter?.close();
  await other?.close();
});

async function nextGuest(): Promise<string> {
  const guest = `DC0_C0_RP0_VM${count}`;
  count += 1;
  // Where the simulator puts a guest is its own choice.
  await vcenter.ask({ do: 'move', name: guest, value: 'DC0_C0_H0' });
  return guest;
}

runManagedConformance({
  name: 'vsphere',
  make: async () => {
    const guest = await nextGuest();
    const driver = new VsphereDriver(vcenter.options);
    return {
      driver,
      sourceHost: 'dc0-c0-h0',
      order: orderOf({
        id: `m-000000${String(count).padStart(2, '0')}`,
        guest,
        from: 'dc0-c0-h0',
        to: 'dc0-c0-h1',
        settings: migrationSettings.parse({}),
      }),
      tasks: async () => (await vcenter.guests())[guest]?.tasks ?? 0,
      pause: (signal) => systemClock.sleep(20, signal),
      dispose: () => driver.close(),
    };
  },
  skip: [COPIES_NONE],
});

runManagedConformance({
  name: 'vsphere, between two vCenters,',
  make: async () => {
    const guest = await nextGuest();
    const driver = new VsphereDriver({ ...vcenter.options, others: { vc2: other.options } });
    return {
      driver,
      sourceHost: 'dc0-c0-h0',
      order: orderOf({
        id: `m-000000${String(count).padStart(2, '0')}`,
        guest,
        from: 'dc0-c0-h0',
        to: 'vc2-dc0-c0-h1',
        settings: migrationSettings.parse({ datastore: 'LocalDS_1' }),
      }),
      tasks: async () => {
        const { [guest]: here } = await vcenter.guests();
        const { [guest]: there } = await other.guests();
        return (here ?? there)?.tasks ?? 0;
      },
      pause: (signal) => systemClock.sleep(20, signal),
      dispose: () => driver.close(),
    };
  },
  skip: [COPIES_NONE],
});
