import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { filesBehind } from '../../../../src/drivers/qemu/plug/host-files.ts';

let root: string;

before(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'godwit-plug-'));
  const make = (directory: string) => mkdir(path.join(root, directory), { recursive: true });
  for (const driver of ['vfio-pci', 'nvme']) await make(`sys/bus/pci/drivers/${driver}`);
  await make('sys/kernel/iommu_groups/12');
  await pci('0000:01:00.0', 'vfio-pci', '12');
  await pci('0000:02:00.0', 'nvme', '12');
  await pci('0000:03:00.0', 'vfio-pci');
  await usb('1-1.2', { busnum: '1', devnum: '7', idVendor: '1050', idProduct: '0407' });
  await usb('2-3', { busnum: '2', devnum: '11', idVendor: '046d', idProduct: 'c52b' });
});
after(() => rm(root, { recursive: true, force: true }));

async function pci(address: string, driver: string, group?: string): Promise<void> {
  const at = path.join(root, 'sys/bus/pci/devices', address);
  await mkdir(at, { recursive: true });
  await symlink(path.join(root, 'sys/bus/pci/drivers', driver), path.join(at, 'driver'));
  if (group === undefined) return;
  await symlink(path.join(root, 'sys/kernel/iommu_groups', group), path.join(at, 'iommu_group'));
}

async function usb(name: string, files: Readonly<Record<string, string>>): Promise<void> {
  const at = path.join(root, 'sys/bus/usb/devices', name);
  await mkdir(at, { recursive: true });
  for (const [file, text] of Object.entries(files))
    await writeFile(path.join(at, file), `${text}\n`);
}

async function behind(driver: string, props: Readonly<Record<string, string | number>>) {
  const { files, lacks } = await filesBehind({ driver, ...props }, root);
  return lacks ?? files.map((file) => file.slice(root.length)).join();
}

describe('host files of a device', () => {
  test('a PCI device has the file of its IOMMU group, with and without the domain', async () => {
    assert.equal(await behind('vfio-pci', { host: '0000:01:00.0' }), '/dev/vfio/12');
    assert.equal(await behind('vfio-pci', { host: '01:00.0' }), '/dev/vfio/12');
    const sysfsdev = '/sys/bus/pci/devices/0000:01:00.0';
    assert.equal(await behind('vfio-pci', { sysfsdev }), '/dev/vfio/12');
  });

  test('a PCI device is missing if it is not there, has another driver, or has no IOMMU', async () => {
    assert.match(await behind('vfio-pci', { host: '09:00.0' }), /no such device \(09:00.0\)/);
    assert.match(await behind('vfio-pci', { host: '02:00.0' }), /bound to nvme, not to vfio-pci/);
    assert.match(await behind('vfio-pci', { host: '03:00.0' }), /in no IOMMU group/);
    assert.match(await behind('vfio-pci', {}), /names no `host`/);
  });

  test('a USB device has the file of its present place, by its identity or its port', async () => {
    const what = { vendorid: 0x10_50, productid: '0x0407' };
    assert.equal(await behind('usb-host', what), '/dev/bus/usb/001/007');
    assert.equal(await behind('usb-host', { hostbus: 2, hostaddr: 11 }), '/dev/bus/usb/002/011');
    assert.equal(await behind('usb-host', { hostbus: 1, hostport: '1.2' }), '/dev/bus/usb/001/007');
    assert.match(await behind('usb-host', { hostbus: 1, hostport: '1' }), /no such USB device/);
    assert.match(await behind('usb-host', { vendorid: 1, productid: 1 }), /no such USB device/);
    assert.match(await behind('usb-host', {}), /names neither/);
  });

  test('an emulated device has no host file', async () => {
    assert.equal(await behind('virtio-rng-pci', {}), '');
  });
});
