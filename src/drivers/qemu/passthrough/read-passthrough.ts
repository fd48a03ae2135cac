import { getScalar } from '../guest/qom.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { LiveDevice } from '../spec/facts.ts';
import { askDevice } from './ask-device.ts';
import { descriptorsOf, readHostDevice } from './read-device.ts';

export async function withHostDevices(
  client: Pick<QmpClient, 'request'>,
  devices: readonly LiveDevice[],
  signal: AbortSignal,
  sysfs = '/sys',
): Promise<LiveDevice[]> {
  return Promise.all(
    devices.map(async (device) => {
      if (device.type !== 'vfio-pci') return device;
      // QEMU fills in the path of a device given by its address.
      const [place, enabled] = await Promise.all(
        ['sysfsdev', 'enable-migration'].map((name) =>
          getScalar(client, device.path, name, signal),
        ),
      );
      const isKnown = typeof place === 'string' && place !== '';
      const host = isKnown ? await readHostDevice(place, sysfs) : undefined;
      if (host === undefined) return device;
      const enableMigration = enabled === undefined ? {} : { enableMigration: String(enabled) };
      return { ...device, host, ...enableMigration };
    }),
  );
}

/** Adds the drivers' answers. A driver may have to query its device, so a plain list of guests does not use this. */
export async function withAnswers(
  devices: readonly LiveDevice[],
  pid: number,
  look = { sysfs: '/sys', proc: '/proc', ask: askDevice },
): Promise<LiveDevice[]> {
  return Promise.all(
    devices.map(async (device) => {
      const { host } = device;
      if (host === undefined) return device;
      const [fd] = await descriptorsOf(pid, host.name, look);
      const answer = fd === undefined ? undefined : await look.ask(pid, fd);
      return { ...device, host: { ...host, ...answer } };
    }),
  );
}
