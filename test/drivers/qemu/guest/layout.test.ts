import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf as layoutDigest } from '../../../../src/drivers/qemu/guest/layout.ts';
import { fakeMonitor } from '../fake-monitor.ts';

const PROCESS = { pid: 7, startTicks: 100, bootId: 'boot-1' };

const node = (name: string, file: string, backing?: string) => ({
  'node-name': name,
  drv: 'qcow2',
  file,
  ro: false,
  image: {
    'virtual-size': 1024,
    ...(backing === undefined ? {} : { 'backing-filename': backing }),
  },
  iops: 0,
});
const drive = (root: string) => ({
  device: 'drive0',
  qdev: 'disk0',
  inserted: { 'node-name': root, file: 'x' },
});
const child = (name: string, type: string) => ({ name, type: `child<${type}>` });

/** A guest with one disk; what is given is different. */
const guestWith = (more: Readonly<Record<string, unknown>> = {}) => ({
  'query-named-block-nodes': [node('disk0', '/d/a.qcow2'), node('file0', '/d/a.qcow2')],
  'query-block': [drive('disk0')],
  '/machine/peripheral': [child('disk0', 'virtio-blk-pci'), child('nic0', 'virtio-net-pci')],
  '/machine/peripheral-anon': [],
  '/objects': [],
  'query-memory-size-summary': { 'base-memory': 1024, 'plugged-memory': 0 },
  ...more,
});

async function digestOf(guest: Readonly<Record<string, unknown>>, process = PROCESS) {
  const { client } = fakeMonitor((command, { path }) =>
    command === 'qom-list' ? guest[String(path)] : guest[command],
  );
  return layoutDigest(client, process, AbortSignal.timeout(10_000));
}

test('the digest of a guest stays the same, in whatever order its QEMU lists things', async () => {
  const first = await digestOf(guestWith());
  assert.match(first, /^[0-9a-f]{64}$/);
  const other = guestWith();
  const reversed: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(other))
    reversed[key] = Array.isArray(value) ? value.toReversed() : value;
  assert.equal(await digestOf(reversed), first);
});

test('each change that outdates a description gives another digest', async () => {
  const nodes = guestWith()['query-named-block-nodes'];
  const peripheral = guestWith()['/machine/peripheral'];
  const changes = {
    nothing: guestWith(),
    snapshot: guestWith({
      'query-named-block-nodes': [...nodes, node('snap', '/d/snap.qcow2', '/d/a.qcow2')],
      'query-block': [drive('snap')],
    }),
    'merged into its base': guestWith({
      'query-named-block-nodes': [node('disk0', '/d/base.qcow2'), node('file0', '/d/base.qcow2')],
    }),
    'another backing file': guestWith({
      'query-named-block-nodes': [node('disk0', '/d/a.qcow2', '/d/b.qcow2'), nodes[1]],
    }),
    'resized disk': guestWith({
      'query-named-block-nodes': [{ ...node('disk0', '/d/a.qcow2'), image: { 'virtual-size': 2 } }],
    }),
    'plugged device': guestWith({
      '/machine/peripheral': [...peripheral, child('disk1', 'virtio-blk-pci')],
    }),
    'unplugged device': guestWith({ '/machine/peripheral': [peripheral[0]] }),
    'plugged memory': guestWith({
      'query-memory-size-summary': { 'base-memory': 1024, 'plugged-memory': 512 },
    }),
    'another object': guestWith({ '/objects': [child('mem1', 'memory-backend-ram')] }),
  };
  const digests = await Promise.all(Object.values(changes).map((each) => digestOf(each)));
  digests.push(await digestOf(guestWith(), { ...PROCESS, pid: 8 }));
  digests.push(await digestOf(guestWith(), { ...PROCESS, startTicks: 101 }));
  assert.equal(new Set(digests).size, digests.length);
});
