import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Check } from '../../../src/protocol/public/migration.ts';
import { makeQemuPlace, qemuPrograms, type QemuPlace } from '../../conformance/qemu-place.ts';
import { plug, withBoth } from './moved.ts';
import { MANY_DEVICES } from './many-devices.ts';

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
  return withBoth(place, async ({ source, destination }) => {
    const { description, files = {} } = await source.inspect(STREAM, signal);
    change(description.spec as never);
    const setup = { ...STREAM, tls: false, maxDowntimeMs: 100 };
    const there = new Map(Object.entries(files));
    await destination.start(description, setup, new Map(), signal, there);
    const [compare, reported] = await Promise.all([
      source.sameMachine?.(signal),
      destination.machine?.(signal),
    ]);
    assert.ok(compare !== undefined);
    // As it comes over the wire.
    return compare(JSON.parse(JSON.stringify(reported)), 'b');
  });
}

async function withGuest<T>(
  from: string,
  to: string,
  work: (place: QemuPlace) => Promise<T>,
  extra: readonly string[] = MANY_DEVICES,
): Promise<T> {
  const place = await makeQemuPlace({
    source: from,
    destination: to,
    machine: 'q35',
    extra,
  });
  try {
    return await work(place);
  } finally {
    await place.dispose();
  }
}

describe("the destination's machine by both QEMUs' reports", () => {
  const pairs = [
    [oldest, oldest],
    [newest, newest],
    [oldest, newest],
  ] as const;
  for (const [from, to] of pairs) {
    test(`the machine is the same, plugged devices included (${from.version} to ${to.version})`, async () => {
      await withGuest(from.file, to.file, async (place) => {
        await plug(place, PLUGGED);
        const { verdict, evidence } = await compared(place);
        assert.equal(verdict, 'pass', evidence);
        const same = Number(/^(\d+) properties are the same/.exec(evidence)?.[1]);
        assert.ok(same > 500, evidence);
      });
    });
  }

  test('a device with another setting is refused by name', async () => {
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

  test('a missing device is refused by name', async () => {
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

interface Shape {
  readonly has: string;
  readonly given: string;
  readonly plugged?: [string, object][];
  /** Default: it has it there too. */
  readonly differs?: readonly [verdict: 'warn' | 'refuse', what: RegExp];
}

const FILE = path.join(tmpdir(), `godwit-same-${process.pid}`);
/** What a guest's description once lost without a word. */
const SHAPES: readonly Shape[] = [
  {
    has: 'a SCSI disk that the guest knows by the name of its drive',
    given: `-device virtio-scsi-pci,id=scsi0 -drive file=${FILE},if=none,id=drive-scsi0,format=raw -device scsi-hd,bus=scsi0.0,drive=drive-scsi0,id=scsi0-0`,
  },
  {
    has: 'a disk and a source of randomness that were plugged in, each on an object of its own',
    given:
      '-object iothread,id=io1 -device pcie-root-port,id=rp1,slot=1 -device pcie-root-port,id=rp2,slot=2',
    plugged: [
      ['blockdev-add', { driver: 'file', 'node-name': 'f1', filename: FILE }],
      [
        'device_add',
        { driver: 'virtio-blk-pci', id: 'h', drive: 'f1', bus: 'rp1', iothread: 'io1' },
      ],
      ['object-add', { 'qom-type': 'rng-random', id: 'r5', filename: '/dev/urandom' }],
      ['device_add', { driver: 'virtio-rng-pci', id: 'r', rng: 'r5', bus: 'rp2', period: 1000 }],
    ],
  },
  {
    has: 'a processor whose clock was given',
    given: '-cpu qemu64,tsc-frequency=2000000000',
  },
  {
    has: 'a generation id that QEMU made up, so that the guest does not think it was cloned',
    given: '-device vmgenid,guid=auto,id=generation',
  },
  { has: 'no graphics', given: '-nographic' },
  {
    has: 'memory bound to a node of its host',
    given:
      '-object memory-backend-ram,id=m0,size=72M,host-nodes=0,policy=bind -numa node,memdev=m0',
  },
  {
    has: 'memory that is a file of its host',
    given:
      '-object memory-backend-file,id=m0,size=72M,mem-path=/dev/shm,share=on -machine memory-backend=m0',
  },
  {
    has: 'a disk with a limit',
    given: `-drive file=${FILE},if=none,id=t0,format=raw,iops=100 -device virtio-blk-pci,drive=t0,id=d0`,
  },
];

describe('properties kept or reported by name', () => {
  before(() => writeFile(FILE, Buffer.alloc(1024 ** 2)));
  after(() => rm(FILE, { force: true }));

  for (const { has, given, plugged = [], differs } of SHAPES) {
    test(has, async () => {
      await withGuest(
        newest.file,
        newest.file,
        async (place) => {
          await plug(place, plugged);
          const { verdict, evidence } = await compared(place);
          assert.equal(verdict, differs?.[0] ?? 'pass', evidence);
          assert.match(evidence, differs?.[1] ?? /properties are the same/);
        },
        given.split(' '),
      );
    });
  }

  test('a disk whose queues are spread over threads stays the same', async (t) => {
    if (Number(newest.version) < 9) return t.skip('this QEMU has no iothread-vq-mapping');
    const device = {
      driver: 'virtio-blk-pci',
      id: 'd0',
      drive: 'f1',
      'num-queues': 2,
      'iothread-vq-mapping': [{ iothread: 'io1' }, { iothread: 'io2' }],
    };
    const extra = [
      ...'-object iothread,id=io1 -object iothread,id=io2'.split(' '),
      ...`-blockdev driver=file,filename=${FILE},node-name=f1 -device`.split(' '),
      JSON.stringify(device),
    ];
    await withGuest(
      newest.file,
      newest.file,
      async (place) => {
        const { error } = await compared(place);
        assert.equal(error?.code, 'GODWIT_MACHINE_DIFFERS');
        assert.match(error.message, /d0\/virtio-blk-device: iothread-vq-mapping is /);
      },
      extra,
    );
  });
});
