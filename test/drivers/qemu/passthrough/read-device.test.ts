import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  descriptorsOf,
  holderOf,
  readHostDevice,
} from '../../../../src/drivers/qemu/passthrough/read-device.ts';
import { VF, VGPU } from './samples.ts';

/** A tree as Linux shows it, made by hand: no such device was at hand. */
describe('a device of a host, as its kernel shows it', () => {
  const NIC = '0000:3b:00.2';
  const GPU = '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001';
  let sysfs: string;
  let proc: string;

  async function put(file: string, text: string): Promise<void> {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  async function link(at: string, target: string): Promise<void> {
    await mkdir(path.dirname(at), { recursive: true });
    await symlink(target, at);
  }

  before(async () => {
    const top = await mkdtemp(path.join(os.tmpdir(), 'godwit-vfio-'));
    [sysfs, proc] = [path.join(top, 'sys'), path.join(top, 'proc')];
    const nic = path.join(sysfs, 'devices/pci0000:3a/0000:3b:00.2');
    for (const [file, text] of Object.entries({
      vendor: '0x15b3\n',
      device: '0x101e\n',
      subsystem_vendor: '0x15b3\n',
      subsystem_device: '0x0127\n',
      'vfio-dev/vfio3/dev': '511:3\n',
    }))
      await put(path.join(nic, file), text);
    await link(path.join(nic, 'driver'), '../../../bus/pci/drivers/mlx5_vfio_pci');
    await link(path.join(nic, 'iommu_group'), '../../../kernel/iommu_groups/42');
    await link(path.join(sysfs, 'bus/pci/devices', NIC), nic);
    const features = path.join(sysfs, 'kernel/debug/vfio', NIC, 'migration/features');
    await put(features, 'stop-copy\np2p\npre-copy\ndirty-tracking\n');
    const gpu = path.join(sysfs, 'bus/mdev/devices', GPU);
    await put(path.join(gpu, 'nvidia-63/name'), 'GRID T4-2Q\n');
    const description = 'num_heads=4, frl_config=45, framebuffer=2048M, max_resolution=4096x2160\n';
    await put(path.join(gpu, 'nvidia-63/description'), description);
    await link(path.join(gpu, 'mdev_type'), 'nvidia-63');
    await link(path.join(gpu, 'driver'), '../../../../bus/mdev/drivers/nvidia-vgpu-vfio');
    for (const [fd, target] of [
      ['7', '/dev/vfio/42'],
      ['8', 'anon_inode:[vfio-device]'],
      ['9', 'anon_inode:[vfio-device]'],
      ['10', '/dev/null'],
    ] as const)
      await link(path.join(proc, '77/fd', fd), target);
    await put(path.join(proc, '77/fdinfo/8'), `pos:\t0\nvfio-device-syspath: ${nic}\n`);
    await put(path.join(proc, '77/fdinfo/9'), 'pos:\t0\nvfio-device-syspath: /sys/devices/other\n');
    await link(path.join(proc, '78/fd/5'), 'anon_inode:[vfio-device]');
    await put(path.join(proc, '78/fdinfo/5'), 'pos:\t0\n');
    await link(path.join(proc, '79/fd/3'), '/dev/vfio/devices/vfio3');
  });
  after(() => rm(path.dirname(sysfs), { recursive: true }));

  test("a device is read by its address or by its path, with its driver's features", async () => {
    const expected = {
      name: NIC,
      what: VF,
      features: ['stop-copy', 'p2p', 'pre-copy', 'dirty-tracking'],
      group: '42',
    };
    assert.deepEqual(await readHostDevice(NIC, sysfs), expected);
    assert.deepEqual(await readHostDevice(`/sys/bus/pci/devices/${NIC}`, sysfs), expected);
  });

  test('a vGPU is read with its type and its maximum memory', async () => {
    const found = await readHostDevice(GPU, sysfs);
    assert.deepEqual(found, { name: GPU, what: VGPU, memoryBytes: 2 * 1024 ** 3 });
  });

  test('a missing device, and any other name, is unknown', async () => {
    for (const name of ['0000:3b:00.3', '../..', '', 'VFIO_FD7'])
      assert.equal(await readHostDevice(name, sysfs), undefined);
  });

  test("a device is found among a process's descriptors by its own path, or if it is the only one", async () => {
    assert.deepEqual(await descriptorsOf(77, NIC, { sysfs, proc }), [8]);
    assert.deepEqual(await descriptorsOf(78, NIC, { sysfs, proc }), [5]);
    assert.deepEqual(await descriptorsOf(79, NIC, { sysfs, proc }), [3]);
    assert.deepEqual(await descriptorsOf(80, NIC, { sysfs, proc }), []);
  });

  test('a device is taken by the process that has its group open', async () => {
    assert.equal(await holderOf({ group: '42' }, proc), 77);
    assert.equal(await holderOf({ group: '43' }, proc), undefined);
    assert.equal(await holderOf({}, proc), undefined);
  });
});
