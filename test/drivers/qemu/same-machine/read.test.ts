import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readMachine } from '../../../../src/drivers/qemu/same-machine/read.ts';
import type { Part } from '../../../../src/drivers/qemu/same-machine/machine-parts.ts';
import { fakeMonitor, Refusal } from '../fake-monitor.ts';

const TREE = `bus: main-system-bus
  type System
  dev: virtio-net-pci, id "net0"
    addr = 03.0
    mac = "52:54:00:00:00:01"
    netdev = <omitted>
    bus: virtio-bus
      type virtio-pci-bus
      dev: virtio-net-device, id ""
        x-mtu = 1500 (0x5dc)
`;

interface Property {
  readonly name: string;
  readonly type?: string;
  readonly value?: unknown;
}

const child = (name: string, type: string): Property => ({ name, type: `child<${type}>` });

const NIC: readonly Property[] = [
  { name: 'addr', value: '03.0' },
  { name: 'netdev', value: 'hn0' },
  { name: 'x-mtu', value: 1500 },
  { name: 'bootindex', value: 1 },
  { name: 'realized', value: true },
  { name: 'unreadable' },
  { name: 'irq', type: 'link<irq>', value: '/machine/irq' },
];
const DISK: readonly Property[] = [
  { name: 'parent_bus', value: '/machine/ide.0' },
  { name: 'unit', value: 0 },
];

/** What the fake machine has as objects: path -> properties. */
const OBJECTS: Readonly<Record<string, readonly Property[]>> = {
  '/machine': [
    { name: 'type', value: 'q35' },
    { name: 'smm', value: 'auto' },
    child('peripheral', 'container'),
  ],
  '/machine/peripheral': [child('net0', 'virtio-net-pci')],
  '/machine/peripheral/net0': NIC,
  '/machine/peripheral-anon': [child('device[10]', 'ide-hd'), child('device[9]', 'ide-hd')],
  '/machine/peripheral-anon/device[9]': [...DISK, { name: 'serial', value: 'nine' }],
  '/machine/peripheral-anon/device[10]': [...DISK, { name: 'serial', value: 'ten' }],
  '/machine/unattached': [
    child('device[0]', 'qemu64-cpu'),
    child('device[1]', 'ide-cd'),
    child('device[2]', 'floppy'),
    child('device[3]', 'port92'),
    child('device[4]', 'scsi-cd'),
  ],
  '/machine/unattached/device[0]': [
    { name: 'avx', type: 'bool', value: false },
    { name: 'pmu', type: 'bool', value: true },
    { name: 'family', type: 'int', value: 15 },
  ],
  '/machine/unattached/device[1]': [{ name: 'ver', value: '2.5+' }],
  '/machine/unattached/device[2]': [{ name: 'drive-type', value: '144' }],
  '/machine/unattached/device[3]': [{ name: 'no-setting-of-a-disk', value: 1 }],
  '/objects': [child('ram', 'memory-backend-ram'), child('many', 'iothread')],
  '/objects/many': Array.from({ length: 100 }, (_, index) => ({ name: `p${index}`, value: 1 })),
  '/objects/ram': [{ name: 'size', value: 1024 }],
};

function monitor(change: Record<string, unknown> = {}) {
  const asked: string[] = [];
  let atOnce = 0;
  let most = 0;
  const { client } = fakeMonitor(async (command, args) => {
    if (command in change) return change[command];
    const path = String(args['path']);
    switch (command) {
      case 'qom-list': {
        asked.push(path);
        const own = OBJECTS[path] ?? [];
        return own.map(({ name, type = 'string' }) => ({ name, type }));
      }
      case 'qom-get': {
        atOnce += 1;
        most = Math.max(most, atOnce);
        await new Promise(setImmediate);
        atOnce -= 1;
        const held = OBJECTS[path]?.find(({ name }) => name === args['property']);
        return held?.value === undefined ? new Refusal('not readable') : held.value;
      }
      case 'x-query-virtio-status':
        return path === '/machine/peripheral/net0/virtio-backend' ? VIRTIO : new Refusal('none');
      case 'human-monitor-command':
        return args['command-line'] === 'info qtree' ? TREE : NETWORK;
      case 'query-hotpluggable-cpus':
        return SLOTS;
      case 'query-cpus-fast':
        return [{ 'cpu-index': 0, 'qom-path': '/machine/unattached/device[0]' }];
      case 'query-chardev':
        return [
          { label: 'serial0', filename: 'disconnected:unix:/run/s,server=on' },
          { label: 'null0', filename: 'null' },
          { label: 'odd', filename: '/dev/x' },
        ];
      case 'query-block':
        return [{ device: 'vda', inserted: { 'node-name': 'top', ...NODE } }];
      case 'query-named-block-nodes':
        return [{ 'node-name': 'top', ...NODE }];
      case 'x-debug-query-block-graph':
        return { nodes: [], edges: [] };
      default:
        return [];
    }
  });
  return { client, asked, most: () => most };
}

const NODE = {
  drv: 'raw',
  file: '/vm/top',
  ro: false,
  cache: { writeback: true, direct: true, 'no-flush': false },
  image: { 'virtual-size': 65_536 },
};
const FEATURES = {
  transports: ['VIRTIO_F_VERSION_1: compliant'],
  'dev-features': ['VIRTIO_NET_F_MAC: has a MAC'],
};
const VIRTIO = {
  'host-features': FEATURES,
  'guest-features': { ...FEATURES, 'dev-features': [] },
};
const NETWORK = [
  'net0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:00:00:01',
  String.raw` \ hn0: index=0,type=tap,ifname=tap0`,
  String.raw` \ hn0: index=1,type=tap,ifname=tap0`,
  'hub 0',
  String.raw` \ port0: user0: index=0,type=user,net=10.0.2.0`,
].join('\r\n');
const SLOTS = [
  { type: 'qemu64-cpu', 'vcpus-count': 1, props: { 'socket-id': 1, 'core-id': 0 } },
  { type: 'qemu64-cpu', 'vcpus-count': 2, props: {}, 'qom-path': '/machine/unattached/device[0]' },
];

async function partsOf(change?: Record<string, unknown>): Promise<(place: string) => Part> {
  const { parts } = await readMachine(monitor(change).client, AbortSignal.timeout(10_000));
  return (place) => {
    const found = parts.filter((part) => part.place === place);
    assert.equal(found.length, 1, `${place} of ${parts.map((part) => part.place).join(', ')}`);
    return found[0] as Part;
  };
}

describe('reading a machine', () => {
  test("a machine has its own settings, without its objects' properties", async () => {
    const part = await partsOf();
    assert.deepEqual(part('machine').props, { smm: 'auto' });
    assert.deepEqual(part('ram'), {
      kind: 'object',
      place: 'ram',
      type: 'memory-backend-ram',
      props: { size: '1024' },
    });
  });

  test('a machine has each processor by its place, with the number and the presence', async () => {
    const part = await partsOf();
    const props = { 'props.socket-id': '1', 'props.core-id': '0', vcpus: '1', plugged: 'false' };
    assert.deepEqual(part('processor 1:0').props, props);
    // Of a place that QEMU does not name, by its number in the list.
    assert.deepEqual(part('processor 1').props, { vcpus: '2', plugged: 'true' });
  });

  test('a machine has the settings of the first processor, without its features', async () => {
    const part = await partsOf();
    assert.deepEqual(part('processor').props, { pmu: 'true', family: '15' });
  });

  test('a device object has only the readable properties that the tree does not show', async () => {
    const part = await partsOf();
    // The tree leaves its netdev out; x-mtu is shown of the device that it carries.
    assert.deepEqual(part('net0 as an object').props, { netdev: 'hn0', bootindex: '1' });
  });

  test('a virtio device has its offered and its negotiated features, if QEMU reports them', async () => {
    const offers = ['VIRTIO_F_VERSION_1', 'VIRTIO_NET_F_MAC'];
    const told = { place: 'net0', offers, taken: ['VIRTIO_F_VERSION_1'], offersMore: false };
    const read = (change?: Record<string, unknown>) =>
      readMachine(monitor(change).client, AbortSignal.timeout(10_000));
    assert.deepEqual((await read()).virtio, [told]);
    for (const answer of [new Refusal('no such command'), { odd: true }])
      assert.deepEqual((await read({ 'x-query-virtio-status': answer })).virtio, []);
  });

  test('devices without ids are listed by type and bus, in the order of their creation', async () => {
    const part = await partsOf();
    assert.equal(part('ide-hd@ide.0 as an object').props['serial'], 'nine');
    assert.equal(part('ide-hd@ide.0#2 as an object').props['serial'], 'ten');
  });

  test('the built-in drives are listed, without other built-in devices and devices without settings', async () => {
    const { parts } = await readMachine(monitor().client, AbortSignal.timeout(10_000));
    const objects = parts.map(({ place }) => place).filter((place) => place.endsWith('an object'));
    assert.deepEqual(objects, [
      'net0 as an object',
      'ide-cd@ as an object',
      'floppy@ as an object',
      'ide-hd@ide.0 as an object',
      'ide-hd@ide.0#2 as an object',
    ]);
  });

  test('networks are listed with their queues; a NIC is a device', async () => {
    const { parts } = await readMachine(monitor().client, AbortSignal.timeout(10_000));
    assert.deepEqual(
      parts.filter(({ kind }) => kind === 'network'),
      [
        { kind: 'network', place: 'hn0', type: 'tap', props: { queues: '2' } },
        { kind: 'network', place: 'port0', type: 'hubport', props: { queues: '1', hubid: '0' } },
      ],
    );
  });

  test('disks are listed with their images', async () => {
    const { parts } = await readMachine(monitor().client, AbortSignal.timeout(10_000));
    const [image] = parts.filter(({ kind, type }) => kind === 'disk' && type === 'raw');
    assert.equal(image?.props['bytes'], '65536');
  });

  test('character devices are listed by their kind, connected or not', async () => {
    const part = await partsOf();
    assert.deepEqual(
      ['serial0', 'null0', 'odd'].map((place) => part(place).type),
      ['unix', 'null', ''],
    );
  });

  test('a machine with more parts than are compared is refused', async () => {
    const chardevs = Array.from({ length: 4096 }, (_, index) => ({
      label: `c${index}`,
      filename: 'null',
    }));
    const slots = Array.from({ length: 8192 }, () => SLOTS[0]);
    const named = { 'query-chardev': chardevs, 'query-hotpluggable-cpus': slots };
    await readMachine(monitor(named).client, AbortSignal.timeout(10_000));
    const graph = Array.from({ length: 5000 }, (_, index) => `  dev: hpet${index}, id ""`);
    const tree = ['bus: main-system-bus', '  type System', ...graph].join('\n');
    const tooMany = monitor({ ...named, 'human-monitor-command': tree });
    await assert.rejects(readMachine(tooMany.client, AbortSignal.timeout(10_000)), {
      code: 'GODWIT_TOO_LARGE',
    });
  });

  test('a machine is read with a bounded number of concurrent questions, and each type is looked at once', async () => {
    const { client, asked, most } = monitor();
    await readMachine(client, AbortSignal.timeout(10_000));
    assert.equal(most(), 32);
    const disks = asked.filter((path) => path.startsWith('/machine/peripheral-anon/'));
    assert.equal(disks.length, 1);
  });
});
