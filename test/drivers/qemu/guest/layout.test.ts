import assert from 'node:assert/strict';
import { closeSync, openSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { layoutOf } from '../../../../src/drivers/qemu/guest/layout.ts';
import { imageStamps } from '../../../../src/protocol/peer/standby.ts';
import { tempDir } from '../../../rpc/test-contract.ts';
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
  'query-status': { status: 'running', running: true },
  ...more,
});

async function digestOf(guest: Readonly<Record<string, unknown>>, process = PROCESS) {
  const { client } = fakeMonitor((command, { path }) =>
    command === 'qom-list' ? guest[String(path)] : guest[command],
  );
  return (await layoutOf(client, process, AbortSignal.timeout(10_000))).digest;
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

test('a guest that is on its way elsewhere, or has left, is not described', async () => {
  for (const status of ['inmigrate', 'finish-migrate', 'postmigrate', 'shutdown']) {
    const away = guestWith({ 'query-status': { status, running: false } });
    await assert.rejects(digestOf(away), new RegExp(`its run state is ${status}`));
  }
  const paused = guestWith({ 'query-status': { status: 'paused', running: false } });
  assert.match(await digestOf(paused), /^[0-9a-f]{64}$/);
});

test('images that the guest only reads have the stamps of the files that QEMU has open', async (t) => {
  const directory = tempDir(t);
  const [base, moved, top] = ['base', 'moved', 'top'].map((name) => path.join(directory, name)) as [
    string,
    string,
    string,
  ];
  for (const file of [base, moved, top]) writeFileSync(file, file);
  const opened = [base, moved, top].map((file) => openSync(file, 'r'));
  t.after(() => opened.forEach((fd) => closeSync(fd)));
  // Another file came to the path of one of them: what is open there is not seen by its path.
  renameSync(moved, `${moved}.old`);
  writeFileSync(moved, 'another');
  const reads = (name: string, file: string) => ({ ...node(name, file), ro: true });
  // QEMU’s own names mean nothing to another host, which refuses them with the whole heartbeat.
  const unnamed = [reads('', base), reads('#block131', base)];
  const graph = [node('n2', top), reads('n1', base), reads('n0', moved), ...unnamed];
  const { client } = fakeMonitor((command, { path: at }) => {
    const guest: Record<string, unknown> = guestWith({ 'query-named-block-nodes': graph });
    return command === 'qom-list' ? guest[String(at)] : guest[command];
  });
  const own = { ...PROCESS, pid: process.pid };
  const { images } = await layoutOf(client, own, AbortSignal.timeout(10_000));
  const { size, mtimeNs } = statSync(base, { bigint: true });
  assert.deepEqual(images, [{ node: 'n1', bytes: Number(size), writtenNs: String(mtimeNs) }]);
  assert.deepEqual(imageStamps.parse(images), images);
});
