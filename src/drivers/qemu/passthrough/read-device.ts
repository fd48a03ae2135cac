import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import path from 'node:path';
import { defined } from '../../../protocol/defined.ts';
import { FEATURES, passedThrough, type HostDevice } from './device.ts';

/** Kernel's view of a device that is or may be passed through. Opens no device. */

const PCI = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const MIB = 1024 ** 2;

export function sysfsPath(name: string, sysfs = '/sys'): string | undefined {
  if (PCI.test(name)) return path.join(sysfs, 'bus/pci/devices', name);
  return UUID.test(name) ? path.join(sysfs, 'bus/mdev/devices', name) : undefined;
}

/**
 * `given`: 0000:3b:00.2, a mediated device's UUID, or a sysfs path that ends in one. Undefined if there is no
 * such device.
 */
export async function readHostDevice(
  given: string,
  sysfs = '/sys',
): Promise<HostDevice | undefined> {
  const name = path.posix.basename(given).toLowerCase();
  const directory = sysfsPath(name, sysfs);
  if (directory === undefined) return undefined;
  const at = (file: string): string => path.join(directory, file);
  const driver = await linkName(at('driver'));
  const found = passedThrough.safeParse(
    PCI.test(name) ? await readPci(at, driver) : await readMediated(at, driver),
  );
  if (!found.success) return undefined;
  const [features, memoryBytes, group] = await Promise.all([
    readFeatures(name, sysfs),
    readMemory(at),
    linkName(at('iommu_group')),
  ]);
  return {
    name,
    what: found.data,
    ...defined({ features, memoryBytes, group }),
  };
}

async function readPci(at: (file: string) => string, driver: string | undefined): Promise<object> {
  const [vendor, device, subsystemVendor, subsystemDevice, vgpuType] = await Promise.all([
    readNumber(at('vendor')),
    readNumber(at('device')),
    readNumber(at('subsystem_vendor')),
    readNumber(at('subsystem_device')),
    readText(at('nvidia/current_vgpu_type')),
  ]);
  const vgpu = vgpuType === undefined || vgpuType === '0' ? {} : { vgpuType };
  return { kind: 'pci', vendor, device, subsystemVendor, subsystemDevice, driver, ...vgpu };
}

async function readMediated(
  at: (file: string) => string,
  driver: string | undefined,
): Promise<object> {
  const [type, typeName] = await Promise.all([
    linkName(at('mdev_type')),
    readText(at('mdev_type/name')),
  ]);
  return { kind: 'mdev', type, ...defined({ typeName }), driver };
}

/** Shown by a kernel with VFIO_DEBUGFS (6.8 and later), even if the device is not open. */
async function readFeatures(
  name: string,
  sysfs: string,
): Promise<HostDevice['features'] | undefined> {
  const folder = path.join(sysfs, 'kernel/debug/vfio');
  const text = await readText(path.join(folder, name, 'migration/features'));
  if (text !== undefined) return FEATURES.filter((each) => text.split('\n').includes(each));
  // A device listed without a migration part has a driver without migration support.
  const names = await readdir(path.join(folder, name)).catch(() => undefined);
  return names === undefined ? undefined : [];
}

/** Reads the vGPU line `num_heads=4, frl_config=45, framebuffer=2048M, ...`. */
async function readMemory(at: (file: string) => string): Promise<number | undefined> {
  const text = await readText(at('mdev_type/description'));
  const mib = /\bframebuffer=(\d{1,7})M\b/.exec(text ?? '')?.[1];
  return mib === undefined ? undefined : Number(mib) * MIB;
}

async function readNumber(file: string): Promise<string | undefined> {
  return (await readText(file))?.replace(/^0x/, '');
}

async function readText(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined || text.trim() === '' ? undefined : text.trim();
}

async function linkName(file: string): Promise<string | undefined> {
  const target = await readlink(file).catch(() => undefined);
  return target === undefined ? undefined : path.basename(target);
}

/** Process's descriptors of the device; a descriptor without a device name counts if it is the only one. */
export async function descriptorsOf(
  pid: number,
  name: string,
  { sysfs = '/sys', proc = '/proc' } = {},
): Promise<number[]> {
  const directory = sysfsPath(name, sysfs);
  if (directory === undefined) return [];
  const own = await realpath(directory).catch(() => directory);
  const cdevs = await readdir(path.join(directory, 'vfio-dev')).catch(() => []);
  const [named, unnamed]: [number[], number[]] = [[], []];
  for (const fd of await readdir(`${proc}/${pid}/fd`).catch(() => [])) {
    const target = (await readlink(`${proc}/${pid}/fd/${fd}`).catch(() => '')).replace(
      ' (deleted)',
      '',
    );
    const isCdev = cdevs.some((each) => target === `/dev/vfio/devices/${each}`);
    if (isCdev) named.push(Number(fd));
    if (target !== 'anon_inode:[vfio-device]') continue;
    const info = await readFile(`${proc}/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '');
    // Linux 6.18 and later.
    const place = /^vfio-device-syspath:\s*(\S+)$/m.exec(info)?.[1];
    if (place === undefined) unnamed.push(Number(fd));
    else if (place === own) named.push(Number(fd));
  }
  if (named.length > 0) return named;
  return unnamed.length === 1 ? unnamed : [];
}

/** Process with the device's group open; only one process can open it. */
export async function holderOf(
  { group }: Pick<HostDevice, 'group'>,
  proc = '/proc',
): Promise<number | undefined> {
  if (group === undefined) return undefined;
  for (const pid of await readdir(proc).catch(() => [])) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of await readdir(`${proc}/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`${proc}/${pid}/fd/${fd}`).catch(() => '');
      if (target === `/dev/vfio/${group}`) return Number(pid);
    }
  }
  return undefined;
}
