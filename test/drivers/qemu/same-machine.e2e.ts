import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Check } from '../../../src/protocol/public/migration.ts';
import { makeQemuPlace, qemuPrograms } from '../../conformance/qemu-place.ts';
import type { QemuPlace } from '../../conformance/qemu-place.ts';
import { plug } from './moved.ts';
import { RICH } from './rich.ts';

const programs = await qemuPrograms();
const oldest = programs.find(({ version }) => version === '7.2') ?? programs[0];
const newest = programs.at(-1);
if (oldest === undefined || newest === undefined) {
  throw new Error('no qemu-system-x86_64: run tools/setup.sh');
}

const STREAM = { mode: 'precopy', streams: 1, compress: 'none' } as const;
const signal = AbortSignal.timeout(200_000);

const PLUGGED: [string, object][] = [
  ['object-add', { 'qom-type': 'rng-builtin', id: 'r9' }],
  ['netdev_add', { type: 'hubport', id: 'n9', hubid: 9 }],
  ['device_add', { driver: 'virtio-net-pci', id: 'hot0', bus: 'rp2', netdev: 'n9', mq: true }],
  ['device_add', { driver: 'usb-kbd', id: 'hot1', bus: 'usb0.0' }],
];

/** Makes the guest at the destination, as a migration would, and compares; `change` comes between description and making. */
async function compared(
  place: QemuPlace,
  change: (spec: { devices: { id?: string; props: Record<string, unknown> }[] }) => void = () => {},
): Promise<Check> {
  const found = await place.source.discover({ host: 'a', busy: new Set(), configured: [] }, signal);
  const handle = found.find(({ info }) => info.name === place.guest)?.handle;
  assert.ok(handle);
  const source = await place.source.openSource(handle, signal);
  const destination = await place.destination.openDestination(place.destinationOptions);
  try {
    const { description, files = {} } = await source.inspect(STREAM, signal);
    change(description.spec as never);
    const setup = { ...STREAM, tls: false, maxDowntimeMs: 100 };
    const there = new Map(Object.entries(files));
    await destination.start(description, setup, new Map(), signal, there);
    const [compare, told] = await Promise.all([
      source.sameMachine?.(signal),
      destination.machine?.(signal),
    ]);
    assert.ok(compare !== undefined);
    // As it comes over the wire.
    return compare(JSON.parse(JSON.stringify(told)), 'b');
  } finally {
    await source.close();
    await destination.destroy(AbortSignal.timeout(10_000));
  }
}

async function withGuest<T>(
  from: string,
  to: string,
  work: (place: QemuPlace) => Promise<T>,
): Promise<T> {
  const place = await makeQemuPlace({
    source: from,
    destination: to,
    machine: 'q35',
    extra: RICH,
  });
  try {
    return await work(place);
  } finally {
    await place.dispose();
  }
}

describe('the machine that a destination makes, by what both QEMUs tell', () => {
  const pairs = [
    [oldest, oldest],
    [newest, newest],
    [oldest, newest],
  ] as const;
  for (const [from, to] of pairs) {
    test(`is the same, plugged devices included (${from.version} to ${to.version})`, async () => {
      await withGuest(from.file, to.file, async (place) => {
        await plug(place, PLUGGED);
        const { verdict, evidence } = await compared(place);
        assert.equal(verdict, 'pass', evidence);
        const same = Number(/^(\d+) properties are the same/.exec(evidence)?.[1]);
        assert.ok(same > 500, evidence);
      });
    });
  }

  test('is refused by name where a device would have another setting', async () => {
    await withGuest(newest.file, newest.file, async (place) => {
      const { error } = await compared(place, ({ devices }) => {
        const nic = devices.find(({ id }) => id === 'nic0');
        assert.ok(nic);
        nic.props['guest_tso4'] = 'off';
      });
      assert.equal(error?.code, 'GODWIT_MACHINE_DIFFERS');
      assert.match(
        error.message,
        /nic0\/virtio-net-device: guest_tso4 is “true” at the source and “false” at the destination$/,
      );
    });
  });

  test('is refused by name where a device is missing', async () => {
    await withGuest(newest.file, newest.file, async (place) => {
      const { error } = await compared(place, ({ devices }) => {
        devices.splice(
          devices.findIndex(({ id }) => id === 'rng0'),
          1,
        );
      });
      assert.match(error?.message ?? '', /rng0 \(virtio-rng-pci\): the destination lacks it/);
    });
  });
});
