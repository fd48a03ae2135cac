import { readdir, readFile, readlink, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import type { OfferedDevice } from './offer.ts';

export interface HostFiles {
  readonly files: readonly string[];
  readonly lacks?: string;
}

export async function filesBehind(device: OfferedDevice, root = '/'): Promise<HostFiles> {
  if (device.driver.startsWith('vfio-')) return behindVfio(device, root);
  if (device.driver === 'usb-host') return behindUsb(device, root);
  return { files: [] };
}

async function behindVfio({ host, sysfsdev }: OfferedDevice, root: string): Promise<HostFiles> {
  const given = sysfsdev ?? (host === undefined ? undefined : `/sys/bus/pci/devices/${full(host)}`);
  if (given === undefined) return { files: [], lacks: 'its configuration names no `host`' };
  const directory = path.join(root, String(given));
  const name = String(host ?? sysfsdev);
  if (!(await isThere(directory)))
    return { files: [], lacks: `this host has no such device (${name})` };
  const driver = await nameBehind(path.join(directory, 'driver'));
  // vfio-pci itself or a vendor's variant; a mediated device has another driver.
  if (host !== undefined && driver?.includes('vfio') !== true)
    return { files: [], lacks: `${name} is bound to ${driver ?? 'no driver'}, not to vfio-pci` };
  const group = await nameBehind(path.join(directory, 'iommu_group'));
  if (group === undefined)
    return { files: [], lacks: `${name} is in no IOMMU group: the host’s IOMMU is off` };
  return { files: [path.join(root, '/dev/vfio', group)] };
}

function full(host: unknown): string {
  const address = String(host);
  return /^[0-9a-f]{2}:/i.test(address) ? `0000:${address}` : address;
}

async function behindUsb(device: OfferedDevice, root: string): Promise<HostFiles> {
  const { hostbus, hostaddr, hostport, vendorid, productid } = device;
  const wanted: [string, unknown, number][] = [
    ['busnum', hostbus, 10],
    ['devnum', hostaddr, 10],
    ['idVendor', vendorid, 16],
    ['idProduct', productid, 16],
  ];
  const asked = wanted.filter(([, value]) => value !== undefined);
  if (asked.length === 0 && hostport === undefined)
    return {
      files: [],
      lacks: 'its configuration names neither `vendorid` and `productid` nor a bus',
    };
  const directory = path.join(root, '/sys/bus/usb/devices');
  const names = await readdir(directory).catch(() => []);
  for (const name of names) {
    const at = path.join(directory, name);
    const isOne = await Promise.all(
      asked.map(async ([file, value, base]) => (await numberIn(at, file, base)) === Number(value)),
    );
    const isAtPort = hostport === undefined || name.slice(name.indexOf('-') + 1) === hostport;
    const [bus, address] = await Promise.all([
      numberIn(at, 'busnum', 10),
      numberIn(at, 'devnum', 10),
    ]);
    if (isOne.includes(false) || !isAtPort || bus === undefined || address === undefined) continue;
    return { files: [path.join(root, '/dev/bus/usb', three(bus), three(address))] };
  }
  return { files: [], lacks: 'no such USB device is connected to this host' };
}

const three = (number: number): string => String(number).padStart(3, '0');

async function numberIn(
  directory: string,
  file: string,
  base: number,
): Promise<number | undefined> {
  const text = await readFile(path.join(directory, file), 'utf8').catch(() => '');
  const number = Number.parseInt(text.trim(), base);
  return Number.isNaN(number) ? undefined : number;
}

async function isThere(directory: string): Promise<boolean> {
  return stat(directory).then(
    () => true,
    () => false,
  );
}

async function nameBehind(link: string): Promise<string | undefined> {
  const to = await realpath(link).catch(() => readlink(link).catch(() => undefined));
  return to === undefined ? undefined : path.basename(to);
}
