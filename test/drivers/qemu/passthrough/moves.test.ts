import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { HostDevice } from '../../../../src/drivers/qemu/passthrough/device.ts';
import {
  withAnswers,
  withHostDevices,
} from '../../../../src/drivers/qemu/passthrough/read-passthrough.ts';
import { ImageStore } from '../../../../src/drivers/qemu/images/images.ts';
import { inspectFacts } from '../../../../src/drivers/qemu/inspect.ts';
import { deviceText } from '../../../../src/drivers/qemu/spec/argv.ts';
import type { GuestFacts } from '../../../../src/drivers/qemu/spec/facts.ts';
import { guestSpec } from '../../../../src/drivers/qemu/spec/grammar/judge.ts';
import type { StreamSettings } from '../../../../src/protocol/peer/migration.ts';
import { commandLine, factsOf } from '../spec/facts.ts';
import { hostDevice, VF } from './samples.ts';

const LINE =
  '-machine pc-q35-9.0 -m 512M -device vfio-pci,host=0000:3b:00.2,id=net1,bus=rp0,addr=00.0';
const STREAM = { mode: 'precopy', streams: 1, compress: 'none' } as const;

/** As QEMU 10.0 would describe a guest with that device of its host. */
function factsWith(host: HostDevice, change: Partial<GuestFacts> = {}): GuestFacts {
  const facts = factsOf(commandLine(LINE), { version: '10.0.2', ...change });
  return { ...facts, devices: facts.devices.map((each) => ({ ...each, host })) };
}

describe('a guest with a passed-through device', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'godwit-through-'));
  });
  after(() => rm(dir, { recursive: true }));

  const inspect = (facts: GuestFacts, stream: Omit<StreamSettings, 'tls'> = STREAM) => {
    const abilities = {
      version: '10.0.2',
      capabilities: ['events', 'return-path', 'pause-before-switchover', 'postcopy-ram'],
      multifdCompression: [],
    };
    const looking = { store: new ImageStore(dir), signal: new AbortController().signal };
    return inspectFacts('web1', facts, abilities, stream, looking);
  };

  test("a guest moves with the description of its device, and not with the device's address", async () => {
    const found = await inspect(factsWith(hostDevice({ stopCopyBytes: 4096 })));
    const refused = found.checks.filter(({ verdict }) => verdict === 'refuse');
    assert.deepEqual(refused, []);
    const { devices } = guestSpec.parse(found.description.spec);
    const props = { bus: 'rp0', addr: '00.0' };
    assert.deepEqual(devices, [{ driver: 'vfio-pci', id: 'net1', props, passthrough: VF }]);
    assert.deepEqual(found.deviceStates, [
      { device: 'net1', stopCopyBytes: 4096, sendsBefore: false, memoryBytes: undefined },
    ]);
    const [device] = devices;
    assert.ok(device !== undefined);
    const here = deviceText(device, undefined, '/sys/bus/pci/devices/0000:af:00.1');
    const words = 'vfio-pci,id=net1,sysfsdev=/sys/bus/pci/devices/0000:af:00.1,bus=rp0,addr=00.0';
    assert.equal(here, words);
  });

  test('a guest is refused by the name of a device that cannot migrate', async () => {
    const said = '0000:3b:00.2: VFIO migration is not supported in kernel';
    const what = { ...VF, driver: 'vfio-pci' };
    const facts = factsWith(hostDevice({ what }), { blockedReasons: [said] });
    const { checks } = await inspect(facts);
    const refused = checks.find(({ name, verdict }) => name === 'devices' && verdict === 'refuse');
    assert.equal(refused?.error?.code, 'GODWIT_DEVICE_UNMOVABLE');
    assert.match(refused?.error?.message ?? '', /net1.*vfio-pci cannot save its state/);
    assert.match(refused?.error?.hint ?? '', /mlx5_vfio_pci.*--unplug net1.*--mode cold/);
  });

  test('a guest is refused post-copy, which QEMU does not support with such devices', async () => {
    const stream = { ...STREAM, mode: 'postcopy' } as const;
    const { checks } = await inspect(factsWith(hostDevice()), stream);
    const refused = checks.filter(({ verdict }) => verdict === 'refuse');
    assert.ok(
      refused.some(({ error }) => /net1 of web1 is passed through/.test(error?.message ?? '')),
    );
  });

  test("a guest's device is read from QEMU, the kernel and the driver", async () => {
    const sysfs = path.join(dir, 'sys');
    const place = path.join(sysfs, 'bus/pci/devices/0000:3b:00.2');
    await mkdir(place, { recursive: true });
    for (const [file, text] of Object.entries({
      vendor: '0x15b3',
      device: '0x101e',
      subsystem_vendor: '0x15b3',
      subsystem_device: '0x0127',
    }))
      await writeFile(path.join(place, file), `${text}\n`);
    await symlink('../../drivers/mlx5_vfio_pci', path.join(place, 'driver'));
    const proc = path.join(dir, 'proc');
    await mkdir(path.join(proc, '77/fd'), { recursive: true });
    await symlink('anon_inode:[vfio-device]', path.join(proc, '77/fd/21'));
    const asked: number[][] = [];
    const ask = async (...words: [number, number]) => {
      asked.push(words);
      return { features: ['stop-copy'], stopCopyBytes: 9 } as const;
    };
    const client = {
      request: async (_command: string, args?: unknown) => {
        const { property } = args as { property: string };
        const value = property === 'sysfsdev' ? '/sys/bus/pci/devices/0000:3b:00.2' : 'auto';
        return { ok: true as const, value };
      },
    };
    const { devices } = factsOf(commandLine(LINE));
    const signal = new AbortController().signal;
    const shown = await withHostDevices(client, devices, signal, sysfs);
    const found = await withAnswers(shown, 77, { sysfs, proc, ask });
    assert.deepEqual(asked, [[77, 21]]);
    const name = '0000:3b:00.2';
    const host = { name, what: VF, features: ['stop-copy'], stopCopyBytes: 9 };
    assert.partialDeepStrictEqual(found[0], { host, enableMigration: 'auto' });
  });
});
