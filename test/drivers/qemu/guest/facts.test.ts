import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readFacts } from '../../../../src/drivers/qemu/guest/facts.ts';
import type { LiveDevice } from '../../../../src/drivers/qemu/spec/facts.ts';
import { fakeMonitor, Refusal } from '../fake-monitor.ts';

type Properties = Readonly<Record<string, unknown>>;
interface DeviceProperty {
  readonly name: string;
  readonly type: string;
  readonly 'default-value'?: unknown;
}

const PERIPHERAL = '/machine/peripheral';
const ANONYMOUS = '/machine/peripheral-anon';
const UNATTACHED = '/machine/unattached';

/** What the fake machine has: the objects below each path by name, each with its type and its properties. */
const OBJECTS: Readonly<Record<string, Readonly<Record<string, readonly [string, Properties]>>>> = {
  [PERIPHERAL]: {
    net0: [
      'virtio-net-pci',
      { addr: 27, parent_bus: '/machine/q35/pcie.0', mac: '52:54:00:00:00:01', netdev: 'hn0' },
    ],
    hot0: ['virtio-balloon-pci', { addr: '05.0', parent_bus: '', hotplugged: true }],
    late1: ['e1000e', { netdev: 'hn1', romfile: '' }],
    late2: ['rtl8139', { netdev: 'hn2', romfile: 'efi-rtl8139.rom' }],
    late3: ['pvpanic-pci', { romfile: '' }],
    late0: [
      'virtio-rng-pci',
      {
        addr: 256,
        rng: '/objects/rng0',
        'own-link': '/machine/x',
        speed: 7,
        mode: 'usual',
        chassis: 1,
        label: 'x',
        serial: 's1',
        empty: '',
      },
    ],
  },
  [ANONYMOUS]: {
    'device[0]': ['scsi-hd', { device_id: 'drive-vda' }],
    'device[1]': ['scsi-cd', { device_id: '' }],
  },
  [UNATTACHED]: {
    'device[0]': ['qemu64-x86_64-cpu', { family: 15, vendor: 'AuthenticAMD' }],
    'device[1]': ['e1000', { netdev: 'user.0' }],
    'device[2]': ['virtio-net-device', { netdev: 'user.0' }],
    'device[3]': ['port92', {}],
  },
  '/objects': {
    ram: ['memory-backend-ram', { size: 1024, share: true }],
    rng0: ['rng-random', {}],
  },
};
const KNOWN: readonly DeviceProperty[] = [
  { name: 'rng', type: 'link<rng-backend>' },
  { name: 'own-link', type: 'link<device>' },
  { name: 'hotplugged', type: 'bool', 'default-value': false },
  { name: 'addr', type: 'int32', 'default-value': -1 },
  { name: 'chassis', type: 'child<x>' },
  { name: 'speed', type: 'int', 'default-value': 1 },
  { name: 'mode', type: 'str', 'default-value': 'usual' },
  { name: 'label', type: 'str' },
  { name: 'serial', type: 'str' },
  { name: 'empty', type: 'str', 'default-value': 'full' },
  { name: 'romfile', type: 'str' },
];
const USERNET = `VLAN -1 (user.0):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[HOST_FORWARD]  12       127.0.0.1  2222       10.0.2.15    22     0     0
`;
const TEXTS: Readonly<Record<string, unknown>> = {
  'info network': 'net0: index=0,type=nic\r\n \\ hn0: index=0,type=tap,ifname=tap7\r\n',
  'info usernet': USERNET,
  'info ramblock': '',
  'info usb': new Refusal('USB support not enabled'),
};
const NAMES = { 'qom-path': `${UNATTACHED}/device[0]`, 'cpu-index': 0 };
const ANSWERS: Readonly<Record<string, unknown>> = {
  'query-status': { status: 'running', running: true },
  'query-cpus-fast': [
    { ...NAMES, target: 'x86_64' },
    { ...NAMES, 'cpu-index': 1 },
  ],
  'query-hotpluggable-cpus': [
    { type: 'other-x86_64-cpu' },
    { type: 'qemu64-x86_64-cpu', 'qom-path': NAMES['qom-path'] },
  ],
  'query-memory-size-summary': { 'base-memory': 1000, 'plugged-memory': 24 },
  'query-kvm': { enabled: false, present: true },
  'query-uuid': { UUID: '00000000-0000-0000-0000-000000000000' },
  'query-name': { name: 'web1' },
  'query-migrate': {},
  'x-debug-query-block-graph': { nodes: [], edges: [] },
  'query-cpu-model-expansion': { model: { name: 'qemu64', props: {} } },
};

const ARGV =
  'qemu-system-x86_64 -device virtio-net-pci,id=net0 -device virtio-balloon-pci,id=hot0 -nic user'.split(
    ' ',
  );

function read(change: Readonly<Record<string, unknown>> = {}, argv: readonly string[] = ARGV) {
  const { client } = fakeMonitor((command, args) => {
    if (command in change) return change[command];
    const path = String(args['path']);
    switch (command) {
      case 'qom-list':
        return Object.entries(OBJECTS[path] ?? {})
          .map(([name, [type]]) => ({ name, type: `child<${type}>` }))
          .concat({ name: 'type', type: 'string' });
      case 'qom-get': {
        if (path === '/machine') return 'pc-q35-7.2-machine';
        const at = path.lastIndexOf('/');
        const own = OBJECTS[path.slice(0, at)]?.[path.slice(at + 1)]?.[1];
        return own?.[String(args['property'])] ?? new Refusal('no such property');
      }
      case 'device-list-properties':
        return KNOWN;
      case 'human-monitor-command':
        return change[String(args['command-line'])] ?? TEXTS[String(args['command-line'])];
      default:
        return ANSWERS[command] ?? [];
    }
  });
  const qemu = { pid: process.pid, startTicks: 1, bootId: 'b', binary: '', argv, cwd: '/' };
  return readFacts(client, qemu, new AbortController().signal);
}

async function device(type: string): Promise<LiveDevice> {
  const found = (await read()).devices.filter((each) => each.type === type);
  assert.equal(found.length, 1, type);
  return found[0] as LiveDevice;
}

describe('facts of a running guest', () => {
  test('a guest has its basics, with plugged memory counted and without an empty UUID', async () => {
    const facts = await read();
    assert.partialDeepStrictEqual(facts, {
      status: 'running',
      arch: 'x86_64',
      machineType: 'pc-q35-7.2',
      accelerator: 'tcg',
      vcpus: 2,
      memoryBytes: 1024,
      baseMemoryBytes: 1000,
      name: 'web1',
      migrationStatus: 'none',
      blockedReasons: [],
    });
    assert.equal(facts.uuid, undefined);
    const other = await read({
      'query-uuid': { UUID: '10000000-0000-0000-0000-000000000000' },
      'query-kvm': { enabled: true, present: true },
      'query-migrate': { status: 'active', 'blocked-reasons': ['a device'] },
    });
    assert.equal(other.uuid, '10000000-0000-0000-0000-000000000000');
    assert.deepEqual([other.accelerator, other.migrationStatus], ['kvm', 'active']);
    assert.deepEqual(other.blockedReasons, ['a device']);
  });

  test("a guest has the processor model of its first processor's slot, or of the first slot", async () => {
    assert.equal((await read()).cpu.model, 'qemu64');
    const unnamed = { 'query-hotpluggable-cpus': [{ type: 'other-x86_64-cpu' }] };
    assert.equal((await read(unnamed)).cpu.model, 'other');
    assert.equal((await read()).cpu.identity['vendor'], 'AuthenticAMD');
  });

  test('a guest is read if QEMU has no pluggable processors, no user networks and no USB', async () => {
    const facts = await read({
      'query-hotpluggable-cpus': new Refusal('not supported'),
      'info usernet': new Refusal('unknown command'),
    });
    assert.equal(facts.forwards?.size, 0);
    assert.equal(facts.block.nativeAio, false);
    assert.equal((await read()).forwards?.get('user.0')?.[0]?.hostPort, 2222);
  });

  test("a guest has its objects, and its memory with the host's settings", async () => {
    const { objects } = await read({
      'query-memdev': [{ id: 'ram', policy: 'bind', 'host-nodes': [1] }],
    });
    assert.deepEqual(objects, [
      {
        id: 'ram',
        type: 'memory-backend-ram',
        bytes: 1024,
        shared: true,
        memory: { policy: 'bind', nodes: [1] },
      },
      { id: 'rng0', type: 'rng-random', bytes: undefined, shared: false },
    ]);
  });
});

describe('a device of a running guest', () => {
  test('a device of the command line has its place, its MAC and its network, and no changes', async () => {
    assert.deepEqual(await device('virtio-net-pci'), {
      path: `${PERIPHERAL}/net0`,
      id: 'net0',
      type: 'virtio-net-pci',
      bus: 'pcie.0',
      busPath: '/machine/q35/pcie.0',
      addr: '03.3',
      mac: '52:54:00:00:00:01',
      netdev: 'hn0',
      changed: undefined,
    });
  });

  test('a device without a bus has none, and one that was plugged in is read with its properties', async () => {
    const found = await device('virtio-balloon-pci');
    assert.deepEqual([found.bus, found.busPath, found.addr], [undefined, undefined, '05.0']);
    // Another one was unplugged under its id: what the command line gives is not of this one.
    assert.notEqual(found.changed, undefined);
  });

  test('a device missing from the command line has its non-default properties, or names something else', async () => {
    const found = await device('virtio-rng-pci');
    assert.deepEqual(found.changed, { rng: 'rng0', speed: 7, serial: 's1' });
    // 256 is no address on a PCI bus.
    assert.equal(found.addr, undefined);
  });

  test('a card without a boot ROM stays without one, and every other device has its own', async () => {
    assert.equal((await device('e1000e')).changed?.['romfile'], '');
    assert.equal((await device('rtl8139')).changed?.['romfile'], undefined);
    assert.equal((await device('pvpanic-pci')).changed?.['romfile'], undefined);
  });

  test('a device without an id has none, and is called by its drive', async () => {
    const found = await device('scsi-hd');
    assert.deepEqual([found.id, found.identity], [undefined, { device_id: 'drive-vda' }]);
    assert.equal(found.changed, undefined);
    assert.equal((await device('scsi-cd')).identity, undefined);
  });

  test('a device has the USB port at which it was plugged in', async () => {
    const ports = '  Device 0.1, Port 2, Speed 480 Mb/s, Product QEMU, ID: net0\r\n';
    const { devices } = await read({ 'info usb': ports });
    const found = devices.find(({ id }) => id === 'net0');
    assert.deepEqual(found?.identity, { port: '2' });
  });

  test('a device that -nic created is listed once', async () => {
    assert.equal((await device('e1000')).netdev, 'user.0');
    const types = (await read()).devices.map(({ type }) => type);
    assert.equal(types.includes('virtio-net-device'), false);
    assert.equal(types.includes('port92'), false);
    for (const given of [[], ['-nic', 'none']]) {
      const { devices } = await read({}, ['qemu-system-x86_64', ...given]);
      assert.equal(
        devices.some(({ type }) => type === 'e1000'),
        false,
      );
    }
  });
});
