import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  driveName,
  failedDrives,
  snapshotParts,
  type Answers,
} from '../../../../src/drivers/qemu/snapshot/parts.ts';
import { copyName, WHOLE_MARK } from '../../../../src/drivers/qemu/mirror/jobs.ts';

type Node = Answers['nodes'][number];

const node = (name: string, drv: string, file: string, more: Partial<Node> = {}): Node => ({
  'node-name': name,
  drv,
  file,
  ro: false,
  encrypted: false,
  detect_zeroes: 'off',
  cache: { direct: true, 'no-flush': false },
  image: { 'virtual-size': 1024, snapshots: [] },
  'dirty-bitmaps': [],
  ...more,
});

function graphOf(edges: readonly [parent: string, child: string][]): Answers['graph'] {
  const names = [...new Set(edges.flat())];
  return {
    nodes: names.map((name, id) => ({ id, type: 'block-driver', name })),
    edges: edges.map(([parent, child]) => ({
      parent: names.indexOf(parent),
      child: names.indexOf(child),
      name: 'file',
    })),
  };
}

const QDEV = '/machine/peripheral/disk0/virtio-backend';
const BASE: Answers = {
  drives: [{ device: '', qdev: QDEV, removable: false, inserted: { 'node-name': 'n0' } }],
  nodes: [node('n0', 'raw', '/srv/g1.img'), node('f0', 'file', '/srv/g1.img')],
  graph: graphOf([['n0', 'f0']]),
  jobs: [],
  exports: [],
  devices: [
    {
      kind: 'device',
      place: 'root0/disk0',
      type: 'virtio-blk-pci',
      props: { drive: 'n0', addr: '0' },
    },
  ],
  peripherals: [{ name: 'disk0', type: 'virtio-blk-pci' }],
  objects: [],
  groups: [],
  backends: [{ id: 'net0', type: 'tap' }],
  processors: 1,
  memoryBytes: 4096,
};

const valueOf = (answers: Answers, kind: string): string[] =>
  snapshotParts(answers)
    .filter((each) => each.kind === kind)
    .map(({ name, value }) => `${name}: ${value}`);

describe('the images of a disk', () => {
  test("the images are the chain below the device, by the guest's name of the device", () => {
    assert.deepEqual(valueOf(BASE, 'disk'), [
      'disk0: raw,direct:/srv/g1.img on file,direct:/srv/g1.img',
    ]);
    assert.deepEqual(valueOf(BASE, 'size'), ['disk0: 1024']);
  });

  test('the images show a snapshot, though the device names no other node', () => {
    const after: Answers = {
      ...BASE,
      drives: [{ device: '', qdev: QDEV, removable: false, inserted: { 'node-name': 'over' } }],
      nodes: [...BASE.nodes, node('over', 'qcow2', '/srv/g1.over')],
      graph: graphOf([
        ['over', 'n0'],
        ['n0', 'f0'],
      ]),
    };
    assert.deepEqual(valueOf(after, 'disk'), [
      'disk0: qcow2,direct:/srv/g1.over on raw,direct:/srv/g1.img on file,direct:/srv/g1.img',
    ]);
    assert.deepEqual(valueOf(after, 'device'), valueOf(BASE, 'device'));
  });

  test('the images do not include the copies that Godwit makes', () => {
    const copying: Answers = {
      ...BASE,
      nodes: [
        ...BASE.nodes,
        node('#block1', 'mirror_top', '/srv/g1.img'),
        node(copyName('n0'), 'nbd', 'nbd:unix:/x'),
        node(WHOLE_MARK, 'null-co', 'null-co://'),
      ],
      graph: graphOf([
        ['#block1', 'n0'],
        ['#block1', copyName('n0')],
        ['n0', 'f0'],
      ]),
      jobs: [{ id: copyName('n0'), type: 'mirror', status: 'ready' }],
      objects: [{ name: 'godwit-tls', type: 'tls-creds-x509' }],
      exports: [{ id: 'godwit-view-00', type: 'nbd' }],
    };
    assert.deepEqual(snapshotParts(copying), snapshotParts(BASE));
  });

  test('the images contain no password of a network client', () => {
    const file = 'json:{"driver":"https","url":"https://x/y","password-secret":"hunter2"}';
    const nodes = [node('n0', 'raw', file), node('f0', 'https', file)];
    assert.doesNotMatch(JSON.stringify(snapshotParts({ ...BASE, nodes })), /hunter2/);
  });

  test('a drive with a medium has its image, and an empty drive has none', () => {
    const [drive] = BASE.drives;
    assert.ok(drive !== undefined);
    const cd = { ...BASE, drives: [{ ...drive, removable: true }] };
    assert.equal(valueOf(cd, 'medium').length, 1);
    const empty = { ...BASE, drives: [{ device: 'cd0', removable: true }] };
    assert.deepEqual(valueOf(empty, 'medium'), []);
  });
});

test('bitmaps and limits of a disk are separate parts', () => {
  const [drive] = BASE.drives;
  assert.ok(drive !== undefined);
  const inserted = { 'node-name': 'n0', iops: 0, bps_rd: 1000 };
  const bitmaps = [
    { name: 'b0', persistent: true, recording: true, granularity: 65_536 },
    { name: 'b1', persistent: false, recording: false, granularity: 65_536 },
    { name: 'godwit-written', persistent: false, recording: true, granularity: 65_536 },
  ];
  const after: Answers = {
    ...BASE,
    drives: [{ ...drive, inserted }],
    nodes: [node('n0', 'raw', '/srv/g1.img', { 'dirty-bitmaps': bitmaps }), ...BASE.nodes.slice(1)],
  };
  assert.deepEqual(valueOf(after, 'limits'), ['disk0: bps_rd=1000']);
  assert.deepEqual(valueOf(after, 'bitmap'), [
    'b0 of disk0: kept,65536',
    'b1 of disk0: memory,65536,disabled',
  ]);
});

test('a setting of a device is included, and its node is not', () => {
  const withProps = (props: Record<string, string>): Answers => ({
    ...BASE,
    devices: [{ kind: 'device', place: 'root0/disk0', type: 'virtio-blk-pci', props }],
  });
  const same = valueOf(withProps({ addr: '0', drive: '#block7' }), 'device');
  assert.deepEqual(same, valueOf(BASE, 'device'));
  assert.notDeepEqual(valueOf(withProps({ addr: '1', drive: 'n0' }), 'device'), same);
});

test('devices without a bus are parts, and finished jobs are not', () => {
  const peripherals = [...BASE.peripherals, { name: 'dimm1', type: 'pc-dimm' }];
  assert.deepEqual(valueOf({ ...BASE, peripherals }, 'device').slice(1), ['dimm1: pc-dimm']);
  const jobs = [
    { id: 'one', type: 'backup', status: 'running' },
    { id: 'two', type: 'commit', status: 'concluded' },
  ];
  assert.deepEqual(valueOf({ ...BASE, jobs }, 'job'), ['one: backup']);
});

test('a drive is known by its device, else by its own name', () => {
  assert.equal(driveName({ qdev: QDEV, device: '' }), 'disk0');
  assert.equal(
    driveName({ qdev: '/machine/unattached/device[23]', device: 'ide1-cd0' }),
    'unattached/device[23]',
  );
  assert.equal(driveName({ qdev: 'cd0', device: '' }), 'cd0');
  assert.equal(driveName({ device: 'floppy0' }), 'floppy0');
});

test('the disk whose error stopped the guest is named', () => {
  const drive = (name: string, status: string) => ({
    device: name,
    removable: false,
    'io-status': status,
  });
  assert.equal(failedDrives([drive('a', 'ok')]), undefined);
  assert.equal(
    failedDrives([drive('a', 'ok'), drive('b', 'nospace'), drive('c', 'failed')]),
    'b (no space left), c',
  );
});

test('snapshots inside an image are parts, by name and number', () => {
  const image = { 'virtual-size': 1024, snapshots: [{ id: '1', name: 'before-upgrade' }] };
  const nodes = [node('n0', 'qcow2', '/srv/g1.img', { image }), ...BASE.nodes.slice(1)];
  assert.deepEqual(valueOf({ ...BASE, nodes }, 'snapshot'), [
    'before-upgrade (1) of disk0: /srv/g1.img',
  ]);
});

test('the address of a backend is included, and the clients of its socket are not', () => {
  const to = (text: string): string[] =>
    valueOf({ ...BASE, backends: [{ id: 'c0', type: 'chardev', to: text }] }, 'backend');
  assert.deepEqual(
    to('unix:/run/c0,server=on <-> /run/x'),
    to('disconnected:unix:/run/c0,server=on'),
  );
  assert.notDeepEqual(to('file'), to('unix:/run/c0,server=on'));
});
