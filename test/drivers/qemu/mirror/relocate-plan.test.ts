import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BlockJob } from '../../../../src/drivers/qemu/mirror/jobs.ts';
import {
  filterOf,
  headerOf,
  nodesOf,
  opensAsFilled,
  readWork,
  relocatable,
  sightOf,
} from '../../../../src/drivers/qemu/mirror/relocate-plan.ts';
import { describeDisks } from '../../../../src/drivers/qemu/spec/disks/disks.ts';
import { parseCommandLine } from '../../../../src/drivers/qemu/spec/cmdline.ts';
import type { BlockFacts, LiveNode } from '../../../../src/drivers/qemu/spec/disks/disk-facts.ts';
import { commandLine, factsOf } from '../spec/facts.ts';
import { QCOW2, liveNode } from '../spec/samples.ts';

function node(name: string, driver: string, change: Partial<LiveNode> = {}): LiveNode {
  const qcow2 = driver === 'qcow2' ? QCOW2 : undefined;
  return liveNode(name, driver, {
    file: '/vm/top.qcow2',
    allocatedBytes: 200_704,
    qcow2,
    ...change,
  });
}

/** An image on a backing file; the upper's nodes have these names. */
function blocksOf(top: string, file: string, change: Partial<LiveNode> = {}): BlockFacts {
  const base = { file: '/vm/base.qcow2', readOnly: true };
  const device = { qdev: '/machine/peripheral/disk0/virtio-backend', builtIn: undefined };
  return {
    disks: [{ drive: '', root: top, writeCache: true, ...device }],
    nodes: [
      node(top, 'qcow2', { backing: { format: 'qcow2' }, ...change }),
      node(file, 'file'),
      node('base', 'qcow2', base),
      node('base-file', 'file', base),
    ],
    edges: [
      { parent: top, child: file, role: 'file' },
      { parent: top, child: 'base', role: 'backing' },
      { parent: 'base', child: 'base-file', role: 'file' },
    ],
    jobs: [],
  };
}

const WORDS = [
  `-blockdev {"driver":"file","node-name":"base-file","filename":"/vm/base.qcow2"}`,
  `-blockdev {"driver":"qcow2","node-name":"base","file":"base-file","read-only":true}`,
  `-blockdev {"driver":"file","node-name":"top-file","filename":"/vm/top.qcow2","aio":"native","cache":{"direct":true}}`,
  `-blockdev {"driver":"qcow2","node-name":"top","file":"top-file","backing":"base","l2-cache-size":1048576}`,
  `-device virtio-blk-pci,drive=top,id=disk0`,
];
const argv = commandLine(WORDS.join(' '));
const guest = (block: BlockFacts) => factsOf(argv, { block, cwd: '/' });

function workOf(block: BlockFacts) {
  const [disk] = relocatable(guest(block));
  assert.equal(disk?.fixed, undefined);
  return readWork(JSON.parse(JSON.stringify(disk?.work)));
}

describe('the plan for a disk move on one host', () => {
  const work = workOf(blocksOf('top', 'top-file'));

  test('the plan opens the new image like the old one, on the same backing node, with holes for zeroes', () => {
    const [file, image] = nodesOf(work, '/new/top.qcow2', 'filling') as Record<string, unknown>[];
    assert.deepEqual(
      [file?.['filename'], file?.['aio'], file?.['discard']],
      ['/new/top.qcow2', 'native', 'unmap'],
    );
    assert.deepEqual([image?.['backing'], image?.['l2-cache-size']], ['base', 1_048_576]);
    assert.equal(image?.['discard'], 'unmap');
    const [, after] = nodesOf(work, '/new/top.qcow2', 'as-given') as Record<string, unknown>[];
    assert.equal(after?.['discard'], 'ignore');
    assert.equal(opensAsFilled(work), false);
  });

  test('the plan creates the image with the same features, and the backing file in its header', () => {
    const header = headerOf(work) as Record<string, unknown>;
    assert.equal(header['backing-file'], '/vm/base.qcow2');
    assert.equal(header['backing-fmt'], 'qcow2');
    assert.deepEqual([header['size'], header['cluster-size']], [64 * 1024 ** 2, 65_536]);
  });

  test('the plan refuses a disk whose copy could not be the same', () => {
    const [withBitmaps] = relocatable(guest(blocksOf('top', 'top-file', { volatileBitmaps: 1 })));
    assert.match(withBitmaps?.fixed ?? '', /dirty bitmaps/);
    const [withSnapshots] = relocatable(guest(blocksOf('top', 'top-file', { snapshots: 1 })));
    assert.match(withSnapshots?.fixed ?? '', /snapshots/);
  });

  test('the plan finds the options of a moved image again, and names a new node', () => {
    const moved = blocksOf(work.spec.node, work.spec.file ?? '');
    const found = describeDisks(parseCommandLine(argv), guest(moved));
    const top = found.nodes.find(({ node: name }) => name === work.spec.node);
    assert.deepEqual([top?.aio, top?.tuning], ['native', { 'l2-cache-size': 1_048_576 }]);
    assert.deepEqual(found.findings, []);
    const again = workOf(moved);
    assert.notEqual(again.spec.node, work.spec.node);
    assert.equal(again.old, work.spec.node);
  });
});

describe("QEMU's state of a moving disk", () => {
  const work = workOf(blocksOf('top', 'top-file'));
  const job = (change: Partial<BlockJob>): BlockJob => ({
    device: work.spec.node,
    status: 'running',
    offset: 1,
    len: 2,
    ready: false,
    'io-status': 'ok',
    ...change,
  });
  const none: ReadonlySet<string> = new Set();

  test("the state has the guest's present image, even below the job's filter", () => {
    assert.equal(sightOf(work, 'top', undefined, none).on, 'old');
    assert.equal(sightOf(work, filterOf(work), job({}), none).on, 'old');
    assert.equal(sightOf(work, work.spec.node, job({}), none).on, 'new');
    assert.equal(sightOf(work, 'other', undefined, none).on, 'neither');
    assert.equal(sightOf(work, undefined, undefined, none).on, 'neither');
  });

  test("the state has the job's progress, and the reason of a failure", () => {
    const wordOf = (change: Partial<BlockJob>) => sightOf(work, 'top', job(change), none).job;
    assert.equal(sightOf(work, 'top', undefined, none).job, 'none');
    assert.equal(wordOf({}), 'copying');
    assert.equal(wordOf({ status: 'ready', ready: true }), 'ready');
    assert.equal(wordOf({ status: 'waiting' }), 'ending');
    assert.equal(wordOf({ status: 'pending' }), 'pending');
    assert.equal(wordOf({ status: 'concluded' }), 'ended');
    const error = 'No space left on device';
    const failed = sightOf(work, 'top', job({ status: 'concluded', error }), none);
    assert.deepEqual([failed.job, failed.failure?.kind], ['failed', 'full']);
  });

  test('the state shows whether the new image is open', () => {
    assert.equal(sightOf(work, 'top', undefined, none).open, false);
    assert.equal(sightOf(work, 'top', undefined, new Set([work.spec.file ?? ''])).open, true);
  });
});
