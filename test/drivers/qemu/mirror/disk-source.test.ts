import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { hasCode } from '../../../../src/errors.ts';
import { QemuDiskSource } from '../../../../src/drivers/qemu/mirror/disk-source.ts';
import { copyName, WHOLE_MARK, type BlockJob } from '../../../../src/drivers/qemu/mirror/jobs.ts';
import { tempDir } from '../../../rpc/test-contract.ts';
import { fakeMonitor, Refusal } from '../fake-monitor.ts';

const soon = (): AbortSignal => AbortSignal.timeout(20_000);
const failed = (error: unknown): boolean => hasCode(error, 'GODWIT_DISK_FAILED');

const jobOf = (node: string, change: Partial<BlockJob> = {}): BlockJob => ({
  device: copyName(node),
  status: 'running',
  offset: 10,
  len: 100,
  ready: false,
  'io-status': 'ok',
  ...change,
});
const READY = { status: 'ready', ready: true, offset: 100 };
const BROKEN = { status: 'paused', 'io-status': 'failed' };
const WHOLE = { status: 'concluded', ready: true, offset: 100 };

interface Setup {
  readonly jobs?: readonly BlockJob[];
  /** Nodes that are there besides those of the jobs. */
  readonly nodes?: readonly string[];
  readonly running?: boolean;
  /** These commands are refused. */
  readonly refused?: Readonly<Record<string, string>>;
  readonly live?: readonly string[];
}

/** A QEMU whose block jobs do what they are ordered. `orders`: what was ordered, with the disk. */
function source({
  jobs = [],
  nodes = [],
  running = false,
  refused = {},
  live = ['vda', 'vdb'],
}: Setup) {
  const left = new Map(jobs.map((job) => [job.device, job]));
  const there = new Set([...left.keys(), ...nodes]);
  const orders: string[] = [];
  const names = new Map(['vda', 'vdb', 'vdc'].map((node) => [copyName(node), node]));
  const order = (what: string, device: unknown): void =>
    void orders.push(`${what} ${names.get(String(device)) ?? String(device)}`);
  const change = (device: string, by: Partial<BlockJob>): void => {
    const job = left.get(device);
    if (job !== undefined) left.set(device, { ...job, ...by });
  };
  const { client } = fakeMonitor((command, args) => {
    const device = String(args['device'] ?? args['id'] ?? args['job-id'] ?? args['node-name']);
    if (command === 'query-block-jobs')
      return [...left.values(), { ...jobOf('x'), device: 'theirs' }];
    if (command === 'query-named-block-nodes')
      return [...there, 'vda'].map((name) => ({ 'node-name': name }));
    if (command === 'query-status') return { running, status: 'paused', singlestep: false };
    const forced = args['force'] === true ? ' by force' : '';
    const speed = args['speed'] === undefined ? '' : ` to ${JSON.stringify(args['speed'])}`;
    order(command, `${names.get(device) ?? device}${forced}${speed}`);
    const reason = refused[command];
    if (reason !== undefined) return new Refusal(reason);
    if (command === 'blockdev-add') there.add(device);
    if (command === 'blockdev-del') there.delete(device);
    if (command === 'job-dismiss') left.delete(device);
    if (command === 'block-job-resume') change(device, { ...READY, 'io-status': 'ok' });
    if (command === 'block-job-cancel')
      change(device, forced === '' ? WHOLE : { status: 'concluded', error: 'it was cancelled' });
    return undefined;
  });
  const found = new Map(live.map((node) => [node, `#${node}`]));
  const images = { identify: async () => ({ bytes: 0, sha256: '' }) };
  const disks = new QemuDiskSource('web1', client, images, async () => found);
  return { disks, orders, left, there };
}

/** A unix socket behind which an export of the other host greets. */
async function greeting(t: TestContext): Promise<string> {
  const socket = path.join(tempDir(t), 'disks.sock');
  const server = net.createServer((client) => {
    client.on('error', () => undefined);
    client.write('NBDMAGICIHAVEOPT');
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.after(() => server.close());
  return socket;
}

describe('copying a guest’s disks', () => {
  test('copying begins with each disk that has no copy, and leaves the running copies alone', async (t) => {
    const { disks, orders } = source({ jobs: [jobOf('vda')] });
    await disks.start(['vda', 'vdb'], await greeting(t), soon());
    assert.deepEqual(orders, ['blockdev-add vdb', 'blockdev-mirror #vdb']);
    await disks.start(['vda'], '/nobody/is/asked', soon());
  });

  test('copying begins with no disk before all are connected, because one disk may fill the link', async (t) => {
    const { disks, orders } = source({});
    await disks.start(['vda', 'vdb'], await greeting(t), soon());
    assert.deepEqual(orders, [
      'blockdev-add vda',
      'blockdev-add vdb',
      'blockdev-mirror #vda',
      'blockdev-mirror #vdb',
    ]);
  });

  test('copying first removes what an earlier mover half began', async (t) => {
    const { disks, orders } = source({ nodes: [copyName('vda')] });
    await disks.start(['vda'], await greeting(t), soon());
    assert.deepEqual(orders, ['blockdev-del vda', 'blockdev-add vda', 'blockdev-mirror #vda']);
  });

  test('a copy that stands still is resumed, without a new one', async (t) => {
    const { disks, orders } = source({ jobs: [jobOf('vda', BROKEN)] });
    await disks.start(['vda'], await greeting(t), soon());
    assert.deepEqual(orders, ['block-job-resume vda']);
  });

  test('a copy that cannot begin leaves nothing', async (t) => {
    const refused = { 'blockdev-mirror': 'the node is in use' };
    const { disks, there } = source({ refused });
    await assert.rejects(disks.start(['vda'], await greeting(t), soon()), /the node is in use/);
    assert.deepEqual([...there], []);
    const unknown = source({ live: [] });
    await assert.rejects(unknown.disks.start(['vda'], await greeting(t), soon()), failed);
    assert.deepEqual(unknown.orders, []);
  });

  test('copying is not ordered while the other host does not answer: it would pause the guest', async () => {
    const { disks, orders } = source({});
    await assert.rejects(disks.start(['vda'], '/nobody/here', soon()), failed);
    assert.deepEqual(orders, []);
  });

  test('a copy that has ended never begins again, whatever its result', async (t) => {
    const ended = [
      source({ jobs: [jobOf('vda', WHOLE)] }),
      source({ jobs: [jobOf('vda', { status: 'concluded', error: 'Input/output error' })] }),
      source({ nodes: [WHOLE_MARK] }),
    ];
    const socket = await greeting(t);
    for (const { disks, orders } of ended) {
      await assert.rejects(disks.start(['vda'], socket, soon()), failed);
      assert.deepEqual(orders, []);
    }
  });

  test('a running copy is capped, and never below one byte', async () => {
    const { disks, orders } = source({ jobs: [jobOf('vda'), jobOf('vdb', WHOLE)] });
    await disks.limit(['vda', 'vdb', 'vdc'], 0.2, soon());
    await disks.limit(['vda'], undefined, soon());
    assert.deepEqual(orders, ['block-job-set-speed vda to 1', 'block-job-set-speed vda to 0']);
  });
});

describe('the end of copying', () => {
  const both = ['vda', 'vdb'];
  const ready = { jobs: both.map((node) => jobOf(node, READY)) };

  test('the end comes once each copy is whole, with the mark before any job is released', async () => {
    const { disks, orders, left, there } = source(ready);
    await disks.finish(both, soon());
    assert.deepEqual(orders, [
      'block-job-cancel vda',
      'block-job-cancel vdb',
      `blockdev-add ${WHOLE_MARK}`,
      'job-dismiss vda',
      'job-dismiss vdb',
    ]);
    assert.equal(left.size, 0);
    assert.ok(there.has(WHOLE_MARK));
    assert.deepEqual(
      (await disks.sample(both, soon())).map(({ state }) => state),
      ['whole', 'whole'],
    );
  });

  test('the end may be repeated, even if a mover died between two releases', async () => {
    const jobs = [jobOf('vdb', WHOLE)];
    const { disks, orders } = source({ jobs, nodes: [WHOLE_MARK] });
    await disks.finish(both, soon());
    await disks.finish(both, soon());
    assert.deepEqual(orders, ['job-dismiss vdb']);
  });

  test('the end never comes while the guest runs, nor while a copy is behind', async () => {
    const behind = { jobs: [jobOf('vda', READY), jobOf('vdb')] };
    for (const given of [{ ...ready, running: true }, behind, { jobs: [jobOf('vda', READY)] }]) {
      const { disks, orders } = source(given);
      await assert.rejects(disks.finish(both, soon()), failed);
      assert.deepEqual(orders, []);
    }
  });

  test('the end removes everything of the copies if the guest stays, and nothing of others', async () => {
    const { disks, orders, left, there } = source({
      jobs: [jobOf('vda'), jobOf('vdb', WHOLE)],
      nodes: [WHOLE_MARK],
    });
    await disks.drop(soon());
    assert.deepEqual(orders.slice(0, 2), ['block-job-cancel vda by force', 'job-dismiss vdb']);
    assert.deepEqual([left.size, there.size], [0, 0]);
    assert.ok(!orders.some((each) => each.includes('theirs')));
    const calls = orders.length;
    await disks.drop(soon());
    assert.equal(orders.length, calls);
  });
});

test('guest writes wait for their copies if QEMU supports it, and firmware writes never do', async () => {
  const { disks, orders } = source({ jobs: [jobOf('vda')] });
  assert.equal(await disks.setWriteBlocking(['vda'], soon()), true);
  assert.deepEqual(orders, ['block-job-change vda']);
  assert.equal(await disks.setWriteBlocking(['pflash1-image'], soon()), true);
  assert.deepEqual(orders, ['block-job-change vda']);
  const old = fakeMonitor(() => new Refusal('it has not been found', 'CommandNotFound'));
  const images = { identify: async () => ({ bytes: 0, sha256: '' }) };
  const without = new QemuDiskSource('web1', old.client, images, async () => new Map());
  assert.equal(await without.setWriteBlocking(['vda'], soon()), false);
  const refused = { 'block-job-change': 'the job is not ready' };
  const unready = source({ refused });
  await assert.rejects(unready.disks.setWriteBlocking(['vda'], soon()), /the job is not ready/);
});
