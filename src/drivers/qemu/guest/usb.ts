import type { QmpClient } from '../qmp/client.ts';
import type { LiveDevice } from '../spec/facts.ts';
import { parseUsbPorts } from '../spec/monitor-text.ts';
import { monitorCommand } from './monitor-command.ts';

/** Empty where this machine has no USB. */
export async function readUsbPorts(client: QmpClient, signal: AbortSignal) {
  return parseUsbPorts(await monitorCommand(client, 'info usb', signal).catch(() => ''));
}

/** One that was given none has the first that was free then. */
export function withPort(device: LiveDevice, ports: ReadonlyMap<string, string>): LiveDevice {
  const port = ports.get(device.id ?? '');
  return port === undefined ? device : { ...device, identity: { ...device.identity, port } };
}
