import type { QmpClient } from '../qmp/client.ts';
import { getScalar } from '../guest/qom.ts';
import type { LiveDevice } from '../spec/facts.ts';
import { askDevice } from './ask-device.ts';
import { descriptorsOf, readHostDevice } from './read-device.ts';

/** Where a host's kernel shows things, and who asks drivers. */
interface Look {
  readonly sysfs: string;
  readonly proc: string;
  readonly ask: typeof askDevice;
}

type Client = Pick<QmpClient, 'request'>;

/** The devices of a guest, those that are passed through with what QEMU, the kernel and their drivers say of them. */
export async function withHostDevices(
  client: Client,
  devices: readonly LiveDevice[],
  pid: number,
  signal: AbortSignal,
  look: Look = { sysfs: '/sys', proc: '/proc', ask: askDevice },
): Promise<LiveDevice[]> {
  return Promise.all(
    devices.map(async (each) => {
      if (each.type !== 'vfio-pci') return each;
      return withHostDevice(client, each, pid, signal, look);
    }),
  );
}

async function withHostDevice(
  client: Client,
  device: LiveDevice,
  pid: number,
  signal: AbortSignal,
  { ask, ...kernel }: Look,
): Promise<LiveDevice> {
  // QEMU fills in the path of one that was given by its address.
  const [place, enabled] = await Promise.all(
    ['sysfsdev', 'enable-migration'].map((name) => getScalar(client, device.path, name, signal)),
  );
  const known =
    typeof place === 'string' && place !== ''
      ? await readHostDevice(place, kernel.sysfs)
      : undefined;
  if (known === undefined) return device;
  const [fd] = await descriptorsOf(pid, known.name, kernel);
  const answer = fd === undefined ? undefined : await ask(pid, fd);
  const enableMigration = enabled === undefined ? {} : { enableMigration: String(enabled) };
  return { ...device, host: { ...known, ...answer }, ...enableMigration };
}
