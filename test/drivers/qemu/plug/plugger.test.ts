import assert from 'node:assert/strict';
import { mkdir, mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { pinsMemory, plugChecks, plugIn } from '../../../../src/drivers/qemu/plug/plugger.ts';
import type { GuestSpec } from '../../../../src/drivers/qemu/spec/schema.ts';
import { hasCode } from '../../../../src/errors.ts';

const signal = AbortSignal.timeout(20_000);
const DEVICES = {
  rng0: { driver: 'virtio-rng-pci' },
  dongle0: { driver: 'usb-host', hostbus: 1, hostaddr: 7 },
  tablet: { driver: 'usb-tablet', bus: 'usb-bus.0' },
};
const place = { host: 'b', guest: 'web1', devices: DEVICES, root: '/nowhere' };
type Monitor = Parameters<typeof plugIn>[2];

async function refused(names: readonly string[], ids: readonly string[] = [], root = '/nowhere') {
  const devices = ids.map((id) => ({ driver: 'x', id, props: {} })) as GuestSpec['devices'];
  const checks = await plugChecks({ ...place, root }, names, { devices }, signal);
  return checks.map(({ error, evidence, hint }) =>
    error === undefined ? evidence : `${error.message} ${hint ?? error.hint}`,
  );
}

describe('devices that a guest can have', () => {
  test('a guest can have a configured and unused device of that name', async () => {
    assert.deepEqual(await refused(['rng0']), [
      'rng0 (virtio-rng-pci) is plugged in once it runs there',
    ]);
  });

  test('an unknown device name is refused with the nearest one', async () => {
    const [words = ''] = await refused(['rng1']);
    assert.match(words, /no device of that name.*Did you mean rng0\?/);
    const [none = ''] = await refused(['constructor']);
    assert.match(none, /no device of that name.*It offers rng0, dongle0, tablet/);
  });

  test('a device is refused if the guest has one with that id, or if the host lacks it', async () => {
    const [words = ''] = await refused(['rng0'], ['rng0']);
    assert.match(words, /has a device with that id already.*--unplug rng0/);
    const [lacks = ''] = await refused(['dongle0']);
    assert.match(lacks, /no such USB device/);
  });
});

describe('devices of another guest', () => {
  let root: string;
  let other: ChildProcess;

  before(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'godwit-plug-'));
    const sys = path.join(root, 'sys/bus/usb/devices/1-1');
    const dev = path.join(root, 'dev/bus/usb/001');
    for (const each of [sys, dev]) await mkdir(each, { recursive: true });
    await writeFile(path.join(sys, 'busnum'), '1\n');
    await writeFile(path.join(sys, 'devnum'), '7\n');
    await writeFile(path.join(dev, '007'), '');
    // A program of that name, which has the device open.
    const program = path.join(root, 'qemu-system-x86_64');
    await symlink('/bin/sh', program);
    const held = await open(path.join(dev, '007'), 'r');
    const stdio = ['pipe', 'pipe', 'inherit', held.fd] as const;
    other = spawn(program, ['-c', 'echo up; read end', '-name', 'other'], { stdio: [...stdio] });
    await held.close();
    assert.ok(other.stdout !== null);
    await once(other.stdout, 'data');
  });
  after(async () => {
    other.stdin?.end();
    await once(other, 'exit');
    await rm(root, { recursive: true, force: true });
  });

  test("a device of another guest is refused with the guest's name", async () => {
    const [words = ''] = await refused(['dongle0'], [], root);
    assert.match(words, /other, which runs there, has it.*Unplug it from other/);
  });

  test('a device that another guest got after the check is not plugged in', async () => {
    const guest = new Guest();
    const letIn = async () => assert.fail('it is the other guest’s');
    await assert.rejects(
      plugIn({ ...place, root }, 'dongle0', guest.monitor, letIn, signal),
      /other, which runs there, has it/,
    );
    assert.deepEqual(guest.added, []);
  });
});

/** A monitor of a guest that has these devices, and answers each `device_add` in turn. */
class Guest {
  readonly devices = new Set<string>();
  readonly added: Readonly<Record<string, unknown>>[] = [];
  readonly #answers: (string | undefined)[];
  readonly #ports: readonly object[];

  constructor(answers: (string | undefined)[] = [], ports: readonly object[] = []) {
    this.#answers = answers;
    this.#ports = ports;
  }

  get monitor(): Monitor {
    return {
      query: async (command: string) =>
        command === 'query-pci'
          ? [{ devices: this.#ports }]
          : [...this.devices].map((name) => ({ name, type: 'child<x>' })),
      request: async (_command: string, args: Readonly<Record<string, unknown>>) => {
        this.added.push(args);
        const reason = this.#answers.shift();
        return reason === undefined ? { ok: true, value: {} } : { ok: false, reason };
      },
    } as unknown as Monitor;
  }
}

const NO_HOTPLUG = "Bus 'pcie.0' does not support hotplugging";
const PORT = { qdev_id: 'rp1', class_info: { class: 0x06_04 }, pci_bridge: { devices: [] } };

describe('plugging in a host device', () => {
  const opened: string[] = [];
  let takenBack = 0;
  const letIn = async (files: readonly string[]) => {
    opened.push(...files);
    return async () => void (takenBack += 1);
  };
  const plug = (guest: Guest, name = 'rng0') => plugIn(place, name, guest.monitor, letIn, signal);
  const fails = async (guest: Guest, words: RegExp, name?: string) =>
    assert.rejects(
      plug(guest, name),
      (thrown) => hasCode(thrown, 'GODWIT_DEVICE_NOT_OFFERED') && words.test(thrown.message),
    );

  test('a device is plugged in once, with its configured properties and its name as its id', async () => {
    const guest = new Guest();
    await plug(guest);
    assert.deepEqual(guest.added, [{ driver: 'virtio-rng-pci', id: 'rng0' }]);
    guest.devices.add('rng0');
    await plug(guest);
    assert.equal(guest.added.length, 1);
  });

  test("a device uses a free port if the machine's own bus accepts nothing any more", async () => {
    const guest = new Guest([NO_HOTPLUG], [PORT]);
    await plug(guest);
    assert.deepEqual(guest.added.at(-1), { driver: 'virtio-rng-pci', id: 'rng0', bus: 'rp1' });
    await fails(new Guest([NO_HOTPLUG]), /hotplugging; it has no free port/);
  });

  test("a device that QEMU rejects fails with QEMU's message, even at that port, and keeps a configured bus", async () => {
    await fails(new Guest(['vfio: group 12 is not viable']), /group 12 is not viable/);
    await fails(new Guest([NO_HOTPLUG, 'no IOMMU'], [PORT]), /no IOMMU/);
    const tablet = new Guest([NO_HOTPLUG], [PORT]);
    await fails(tablet, /does not support hotplugging$/, 'tablet');
    assert.equal(tablet.added.length, 1);
    assert.equal(takenBack, 4, 'what it was let into, it may open no more');
  });

  test('a device that the host has lost fails before QEMU is asked', async () => {
    const guest = new Guest();
    await fails(guest, /no device of that name any more/, 'gone0');
    await fails(guest, /no such USB device/, 'dongle0');
    assert.deepEqual([guest.added, opened], [[], []]);
  });
});

test("a device that is passed through pins the guest's memory, and another does not", () => {
  const devices = { ...DEVICES, gpu0: { driver: 'vfio-pci', host: '0000:01:00.0' } };
  assert.ok(pinsMemory(devices, ['rng0', 'gpu0']));
  assert.ok(!pinsMemory(devices, ['rng0', 'none']));
  assert.ok(!pinsMemory(devices));
});
