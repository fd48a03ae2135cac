import { godwitError, type GodwitError } from '../../../errors.ts';
import { pass, refusal, type NamedCheck } from '../../../migration/preflight/check.ts';
import { didYouMean } from '../../../protocol/nearest.ts';
import { identityOf, inodesOf, openFiles } from '../../../system/files/open-files.ts';
import { listQemuProcesses } from '../guest/process.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { GuestSpec } from '../spec/schema.ts';
import { ownerOf } from '../images/variable-store-users.ts';
import { filesBehind } from './host-files.ts';
import { freePort, pciBuses } from './free-port.ts';
import type { OfferedDevice, OfferedDevices } from './offer.ts';

/**
 * Host devices that a guest gets after it runs here. The caller gives names, and only this host's configuration
 * defines the devices. A device's name is its id in the guest.
 */

const NOT_THERE = /does not support hotplugging|no slot\/function available|hotplug/i;

type Monitor = Pick<QmpClient, 'query' | 'request'>;

interface Place {
  readonly host: string;
  readonly guest: string;
  readonly devices: OfferedDevices;
  readonly root?: string;
}

export async function plugChecks(
  place: Place,
  names: readonly string[],
  { devices }: Pick<GuestSpec, 'devices'>,
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  const has = new Set(devices.map(({ id }) => id));
  const checks: NamedCheck[] = [];
  for (const name of names) {
    const found = await obstacleTo(place, name, has.has(name), signal);
    const device = place.devices[name];
    checks.push(
      found === undefined
        ? pass(
            'devices',
            `${name} (${device?.driver ?? ''}) is plugged in once it runs there`,
            'destination',
          )
        : refusal('devices', found, 'destination'),
    );
  }
  return checks;
}

async function obstacleTo(
  place: Place,
  name: string,
  isThere: boolean,
  signal: AbortSignal,
): Promise<GodwitError | undefined> {
  const { host, guest, devices, root } = place;
  const not = (reason: string, hint: string) =>
    godwitError('GODWIT_DEVICE_NOT_OFFERED', { host, device: name, guest, reason }, { hint });
  const device = offerOf(devices, name);
  if (device === undefined) {
    const known = Object.keys(devices);
    const near = didYouMean(name, known) ?? `It offers ${known.join(', ') || 'none'}.`;
    const hint = `Add it to \`drivers.qemu.devices\` in the configuration of ${host}, or name another one. ${near}`;
    return not('its configuration has no device of that name', hint);
  }
  if (isThere) {
    const hint = `Have that one unplugged for the move (--unplug ${name}), or give the one of ${host} another name in \`drivers.qemu.devices\`.`;
    return not('the guest has a device with that id already', hint);
  }
  const { files, lacks } = await filesBehind(device, root);
  if (lacks !== undefined)
    return not(lacks, `See on ${host} what \`drivers.qemu.devices.${name}\` stands for.`);
  const by = await userOf(files, guest, signal);
  if (by === undefined) return undefined;
  return not(`${by}, which runs there, has it`, `Unplug it from ${by} first, or name another one.`);
}

/** True if one of them does DMA, so that all guest memory must stay in place. */
export function pinsMemory(devices: OfferedDevices, names: readonly string[] = []): boolean {
  return names.some((name) => offerOf(devices, name)?.driver.startsWith('vfio-') === true);
}

function offerOf(devices: OfferedDevices, name: string): OfferedDevice | undefined {
  return Object.hasOwn(devices, name) ? devices[name] : undefined;
}

async function userOf(
  files: readonly string[],
  guest: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (files.length === 0) return undefined;
  const ids = new Set(await Promise.all(files.map(identityOf)));
  const inodes = await inodesOf(files);
  for (const process of await listQemuProcesses(signal)) {
    const by = ownerOf(process);
    if (by === guest) continue;
    const open = await openFiles(process, inodes);
    if (open.some(({ id }) => ids.has(id))) return by;
  }
  return undefined;
}

const BY_HAND =
  'The guest runs without it. Plug it in once what stands in the way is gone (`device_add` on its monitor).';

/**
 * Plugs one in, unless the guest already has it. Throws GODWIT_DEVICE_NOT_OFFERED with QEMU's reason. `letIn`:
 * grants access to the files and returns the undo.
 */
export async function plugIn(
  { host, guest, devices, root }: Place,
  name: string,
  client: Monitor,
  letIn: (files: readonly string[]) => Promise<() => Promise<void>>,
  signal: AbortSignal,
): Promise<void> {
  const not = (reason: string) => {
    const facts = { guest, host, device: name, reason };
    return godwitError('GODWIT_DEVICE_NOT_OFFERED', facts, { hint: BY_HAND });
  };
  if (await hasDevice(client, name, signal)) return;
  const device = offerOf(devices, name);
  if (device === undefined)
    throw not('the configuration there has no device of that name any more');
  const { files, lacks } = await filesBehind(device, root);
  if (lacks !== undefined) throw not(lacks);
  const by = await userOf(files, guest, signal);
  if (by !== undefined) throw not(`${by}, which runs there, has it`);
  const takeBack = await letIn(files);
  try {
    await addDevice(client, { ...device, id: name }, not, signal);
  } catch (thrown) {
    await takeBack();
    throw thrown;
  }
}

async function addDevice(
  client: Monitor,
  props: Readonly<Record<string, unknown>>,
  not: (reason: string) => GodwitError,
  signal: AbortSignal,
): Promise<void> {
  const first = await client.request('device_add', props, signal);
  if (first.ok) return;
  if (props['bus'] !== undefined || !NOT_THERE.test(first.reason)) throw not(first.reason);
  const bus = freePort(await client.query('query-pci', {}, pciBuses, signal));
  if (bus === undefined)
    throw not(`${first.reason}; it has no free port (pcie-root-port) for a device on PCI`);
  const second = await client.request('device_add', { ...props, bus }, signal);
  if (!second.ok) throw not(second.reason);
}

async function hasDevice(client: Monitor, name: string, signal: AbortSignal): Promise<boolean> {
  const path = '/machine/peripheral';
  const list = await client.query('qom-list', { path }, answers.qomList, signal);
  return list.some((each) => each.name === name);
}
