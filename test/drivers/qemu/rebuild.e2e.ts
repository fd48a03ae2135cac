import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import {
  makeQemuPlace,
  qemuPrograms,
  type QemuPlace,
  type QemuPlan,
} from '../../conformance/qemu-place.ts';
import { move, plug } from './moved.ts';
import { MANY_DEVICES } from './many-devices.ts';

const programs = await qemuPrograms();
const oldest = programs.find(({ version }) => version === '7.2') ?? programs[0];
const newest = programs.at(-1);
if (oldest === undefined || newest === undefined) {
  throw new Error('no qemu-system-x86_64: run tools/setup.sh');
}

const STREAM = { mode: 'precopy', streams: 1, compress: 'none' } as const;
const signal = AbortSignal.timeout(120_000);

function tiny(plan: Partial<QemuPlan>): Promise<QemuPlace> {
  const { file } = newest ?? { file: '' };
  return makeQemuPlace({ source: file, destination: file, machine: 'q35', ...plan });
}

describe('a guest of QEMU, recreated at the destination', () => {
  for (const program of programs) {
    test(`a guest has the same devices and settings there (${program.version})`, async () => {
      const place = await tiny({
        source: program.file,
        destination: program.file,
        extra: MANY_DEVICES,
      });
      try {
        const { before, after, serial } = await move(place);
        assert.deepEqual(after.spec, before.spec);
        assert.match(serial, /^\.+$/, 'its memory is intact');
      } finally {
        await place.dispose();
      }
    });
  }

  test('a guest has the devices that were plugged in while it ran', async () => {
    const place = await tiny({ extra: MANY_DEVICES });
    try {
      await plug(place, [
        ['object-add', { 'qom-type': 'rng-builtin', id: 'r9' }],
        ['netdev_add', { type: 'hubport', id: 'n9', hubid: 9 }],
        [
          'device_add',
          { driver: 'virtio-net-pci', id: 'hot0', bus: 'rp2', netdev: 'n9', mq: true },
        ],
        ['device_add', { driver: 'usb-kbd', id: 'hot1', bus: 'usb0.0' }],
      ]);
      const { before, after } = await move(place);
      assert.deepEqual(after.spec, before.spec);
      const { devices } = before.spec as { devices: { id?: string; props: object }[] };
      const nic = devices.find(({ id }) => id === 'hot0');
      const { bus, addr, netdev, mq } = { ...nic?.props } as Record<string, unknown>;
      assert.deepEqual([bus, addr, netdev, mq], ['rp2', '00.0', 'n9', 'on']);
    } finally {
      await place.dispose();
    }
  });

  test('a guest keeps its machine type and processor on a newer QEMU', async () => {
    const place = await tiny({
      source: oldest.file,
      destination: newest.file,
      extra: MANY_DEVICES,
    });
    try {
      const { before, after, serial } = await move(place);
      const one = before.spec as { machine: object; cpu: { features: string[]; identity: object } };
      const two = after.spec as typeof one;
      assert.deepEqual(two.machine, one.machine);
      assert.deepEqual(two.cpu.identity, one.cpu.identity);
      const lost = one.cpu.features.filter((feature) => !two.cpu.features.includes(feature));
      assert.deepEqual(lost, oldest === newest ? [] : ['pcommit']);
      assert.deepEqual(
        two.cpu.features,
        one.cpu.features.filter((each) => !lost.includes(each)),
      );
      assert.match(serial, /^\.+$/, 'its memory is intact');
    } finally {
      await place.dispose();
    }
  });

  test('a guest is found by its configured socket when its command line does not name it', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'godwit-named-'));
    const socket = path.join(directory, 'other.sock');
    const file = path.join(directory, 'monitor.cfg');
    await writeFile(
      file,
      `[chardev "other"]\nbackend = "socket"\npath = "${socket}"\nserver = "on"\nwait = "off"\n` +
        '[mon "second"]\nmode = "control"\nchardev = "other"\n',
    );
    const place = await tiny({ extra: ['-readconfig', file] });
    try {
      const configured = [{ name: 'named-by-hand', qmp: socket }];
      const options = { host: 'a', busy: new Set<string>(), configured };
      const found = await place.source.discover(options, signal);
      const guest = found.find(({ info }) => info.name === 'named-by-hand');
      assert.ok(guest?.handle !== undefined);
      assert.equal(place.source.describe(guest.handle).pid, place.tiny.process.pid);
      assert.equal(guest.info.state, 'running');
    } finally {
      await place.dispose();
      await rm(directory, { recursive: true, force: true });
    }
  });

  test('a guest with a device of its host is refused by name', async () => {
    const shared = 'memory-backend-file,id=shm,size=1M,share=on,mem-path=/dev/shm';
    const extra = ['-object', shared, '-device', 'ivshmem-plain,memdev=shm,id=sharing'];
    const place = await tiny({ extra });
    try {
      const options = { host: 'a', busy: new Set<string>(), configured: [] };
      const [found] = (await place.source.discover(options, signal)).filter(
        ({ info }) => info.name === place.guest,
      );
      assert.ok(found);
      assert.ok(
        found.info.unmovable.some((reason) => reason.startsWith('sharing (ivshmem-plain)')),
      );
      assert.ok(found.handle);
      const source = await place.source.openSource(found.handle, signal);
      const { checks } = await source.inspect(STREAM, signal);
      await source.close();
      const codes = checks.flatMap(({ error }) => (error === undefined ? [] : [error.code]));
      assert.ok(codes.includes('GODWIT_DEVICE_UNMOVABLE'));
    } finally {
      await place.dispose();
    }
  });

  test('a guest with a disk that is not a file is refused by name', async () => {
    const extra = [
      '-blockdev',
      'driver=null-co,node-name=n0,size=1048576',
      '-device',
      'virtio-blk-pci,drive=n0,id=d0',
    ];
    const place = await tiny({ extra });
    try {
      const options = { host: 'a', busy: new Set<string>(), configured: [] };
      const found = await place.source.discover(options, signal);
      const unmovable = found.find(({ info }) => info.name === place.guest)?.info.unmovable;
      assert.equal(unmovable?.length, 1);
      assert.match(unmovable[0] ?? '', /^d0 \(.*null-co.*\): it is reached through `null-co`$/);
    } finally {
      await place.dispose();
    }
  });
});
