import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { QemuRelocator } from '../../../../src/drivers/qemu/mirror/relocate.ts';
import { makerOf, type RelocationWork } from '../../../../src/drivers/qemu/mirror/relocate-plan.ts';
import type { BlockNode } from '../../../../src/drivers/qemu/spec/disks/disk-schema.ts';
import { fakeMonitor, Refusal } from '../fake-monitor.ts';
import { MAKE, blockNode } from '../spec/samples.ts';

const handle = { driver: 'qemu', name: 'web1', pid: 1, startTicks: 1, monitor: '/m' } as const;
const signal = new AbortController().signal;

const RAW = blockNode('new');
const QCOW2: BlockNode = { ...RAW, format: 'qcow2', make: MAKE };

const workOf = (change: Partial<RelocationWork> = {}): RelocationWork => ({
  drive: '',
  qdev: '/machine/peripheral/disk0',
  old: 'old',
  oldFile: 'old-file',
  spec: RAW,
  bytes: 65_536,
  ...change,
});

interface Job {
  status: string;
  error?: string;
}

/** A QEMU with one disk on `root`, the nodes `nodes` and the job that moves it. */
function guest(root: string, nodes: string[], job?: Job) {
  const orders: [command: string, args: Readonly<Record<string, unknown>>][] = [];
  const state = { nodes: new Set(nodes), job, refused: new Map<string, Refusal>() };
  const { client } = fakeMonitor((command, args) => {
    if (!command.startsWith('query-')) orders.push([command, args]);
    const refusal = state.refused.get(command);
    if (refusal !== undefined) return refusal;
    switch (command) {
      case 'query-block-jobs': {
        const figures = { offset: 1, len: 2, ready: false, 'io-status': 'ok' };
        const other = { device: 'other', status: 'ready', ...figures };
        return [other, ...(state.job ? [{ device: 'new', ...figures, ...state.job }] : [])];
      }
      case 'query-named-block-nodes':
        return [...state.nodes].map((name) => ({ 'node-name': name }));
      case 'query-block':
        return [
          { device: '', qdev: '/machine/peripheral/other', inserted: { 'node-name': 'not-it' } },
          { device: 'drive0', qdev: '/ide', inserted: { 'node-name': 'by-drive' } },
          { device: '', qdev: '/machine/peripheral/disk0', inserted: { 'node-name': root } },
        ];
      case 'query-jobs':
        return [{ id: makerOf(workOf()), status: 'concluded' }];
      case 'block-job-cancel':
        state.job = { status: 'concluded', error: 'Operation canceled' };
        return undefined;
      case 'job-dismiss':
        if (args['id'] === 'new') state.job = undefined;
        return undefined;
      case 'blockdev-add':
        state.nodes.add(String(args['node-name']));
        return undefined;
      case 'blockdev-del':
        state.nodes.delete(String(args['node-name']));
        return undefined;
      default:
        return undefined;
    }
  });
  const names = (): string[] => orders.map(([command]) => command);
  const argsOf = (command: string) => orders.filter(([one]) => one === command).map(([, a]) => a);
  return { relocator: new QemuRelocator(handle, client, 'a'), orders, names, argsOf, state };
}

describe('a disk move on one host', () => {
  let top: string;
  before(async () => {
    top = await mkdtemp(path.join(os.tmpdir(), 'godwit-relocate-'));
  });
  after(() => rm(top, { recursive: true, force: true }));

  test('a disk is copied by one job that never ends by itself, at the requested rate', async () => {
    const { relocator, argsOf } = guest('old', ['old', 'old-file']);
    const file = path.join(top, 'raw');
    await writeFile(file, '');
    await relocator.begin(workOf(), file, 1000.4, signal);
    assert.equal((await stat(file)).size, 65_536);
    const [job] = argsOf('blockdev-mirror');
    assert.deepEqual([job?.['device'], job?.['target'], job?.['sync']], ['old', 'new', 'top']);
    assert.deepEqual([job?.['auto-finalize'], job?.['auto-dismiss']], [false, false]);
    assert.deepEqual([job?.['on-target-error'], job?.['copy-mode']], ['report', 'background']);
    assert.equal(job?.['speed'], 1000);
    assert.deepEqual(
      argsOf('blockdev-add').map((node) => [node['node-name'], node['discard']]),
      [
        ['new-file', 'unmap'],
        ['new', 'unmap'],
      ],
    );
  });

  test('a copy starts again after an earlier attempt was cut off', async () => {
    const left = ['old', 'old-file', 'new', 'new-file'];
    const { relocator, names } = guest('old', left, { status: 'running' });
    const file = path.join(top, 'again');
    await writeFile(file, '');
    await relocator.begin(workOf(), file, undefined, signal);
    assert.ok(names().includes('block-job-cancel'));
    assert.ok(names().indexOf('blockdev-del') < names().indexOf('blockdev-add'));
  });

  test('a copy has no limit if none was requested, and never the limit 0, which means none', async () => {
    const file = path.join(top, 'rates');
    for (const [asked, speed] of [
      [undefined, 0],
      [0.2, 1],
    ] as const) {
      await writeFile(file, '');
      const { relocator, argsOf } = guest('old', ['old']);
      await relocator.begin(workOf(), file, asked, signal);
      assert.equal(argsOf('blockdev-mirror')[0]?.['speed'], speed);
    }
  });

  test('a qcow2 header is written between the file and its format, and the file is left empty', async () => {
    const { relocator, names } = guest('old', ['old']);
    const file = path.join(top, 'qcow2');
    await writeFile(file, '');
    await relocator.begin(workOf({ spec: QCOW2 }), file, undefined, signal);
    assert.equal((await stat(file)).size, 0);
    const made = names().slice(names().indexOf('blockdev-add'));
    assert.deepEqual(made, [
      'blockdev-add',
      'blockdev-create',
      'job-dismiss',
      'blockdev-add',
      'blockdev-mirror',
    ]);
  });

  test('a disk is found by its drive if it has one, else by its path', async () => {
    const { relocator } = guest('old', []);
    assert.equal((await relocator.look(workOf(), signal)).on, 'old');
    const byDrive = workOf({ drive: 'drive0', old: 'by-drive' });
    assert.equal((await relocator.look(byDrive, signal)).on, 'old');
  });

  test('a copy continues without write-blocking if QEMU lacks the command, and fails on every other refusal', async () => {
    const { relocator, argsOf, state } = guest('old', []);
    await relocator.setWriteBlocking(workOf(), signal);
    assert.equal(argsOf('block-job-change')[0]?.['copy-mode'], 'write-blocking');
    state.refused.set('block-job-change', new Refusal('no such command', 'CommandNotFound'));
    await relocator.setWriteBlocking(workOf(), signal);
    state.refused.set('block-job-change', new Refusal('no such job'));
    await assert.rejects(relocator.setWriteBlocking(workOf(), signal), {
      code: 'GODWIT_HYPERVISOR',
    });
  });

  test('a move is settled only once the guest is on the new image', async () => {
    const { relocator, orders } = guest('old', ['old', 'new']);
    await assert.rejects(relocator.settle(workOf(), '/new', signal), { code: 'GODWIT_INTERNAL' });
    assert.deepEqual(orders, []);
  });

  test("a settled move leaves the old image closed and the new one opened with the guest's options", async () => {
    const all = ['old', 'old-file', 'new', 'new-file'];
    const { relocator, argsOf, state } = guest('new', all, { status: 'concluded' });
    assert.deepEqual(await relocator.settle(workOf(), '/new', signal), []);
    assert.deepEqual([...state.nodes], ['new', 'new-file']);
    assert.equal(state.job, undefined);
    const [reopened] = argsOf('blockdev-reopen');
    const options = reopened?.['options'] as { discard: string }[];
    assert.deepEqual(
      options.map(({ discard }) => discard),
      ['ignore', 'ignore'],
    );
  });

  test('an image that is open with the right options is not opened again', async () => {
    const { relocator, names } = guest('new', ['new']);
    const spec = { ...RAW, discard: 'unmap', fileDiscard: 'unmap' } as const;
    assert.deepEqual(await relocator.settle(workOf({ spec }), '/new', signal), []);
    assert.equal(names().includes('blockdev-reopen'), false);
    // No job was left either.
    assert.equal(names().includes('job-dismiss'), false);
  });

  test('a disk moves even if the old image stays open, with a note', async () => {
    const { relocator, state } = guest('new', ['old', 'new']);
    state.refused.set('blockdev-del', new Refusal('in use'));
    state.refused.set('blockdev-reopen', new Refusal('cannot'));
    const notes = await relocator.settle(workOf(), '/new', signal);
    assert.equal(notes.length, 2);
    assert.match(notes[0] ?? '', /old image open \(old\)/);
    assert.match(notes[1] ?? '', /discards on \(cannot\)/);
  });
});

describe('a dropped disk move', () => {
  test('a dropped move ends the copying job, dismisses it and closes the new image', async () => {
    const nodes = ['old', 'old-file', 'new', 'new-file'];
    const { relocator, names, argsOf, state } = guest('old', nodes, { status: 'running' });
    await relocator.drop(workOf(), signal);
    assert.deepEqual(argsOf('block-job-cancel'), [{ device: 'new', force: true }]);
    assert.deepEqual([...state.nodes], ['old', 'old-file']);
    assert.equal(state.job, undefined);
    const dismissed = argsOf('job-dismiss').map(({ id }) => id);
    assert.deepEqual(dismissed, ['new', makerOf(workOf())]);
    assert.deepEqual(argsOf('job-cancel'), [{ id: makerOf(workOf()) }]);
    assert.ok(names().indexOf('job-cancel') < names().indexOf('blockdev-del'));
  });

  test('a dropped move dismisses a job that has ended or failed, and cancels neither', async () => {
    for (const job of [{ status: 'concluded' }, { status: 'concluded', error: 'No space left' }]) {
      const { relocator, names, state } = guest('old', ['old'], job);
      await relocator.drop(workOf(), signal);
      assert.equal(names().includes('block-job-cancel'), false);
      assert.equal(state.job, undefined);
    }
  });

  test('a drop is refused once the guest is on the new image', async () => {
    const { relocator, orders } = guest('new', ['new', 'new-file'], { status: 'concluded' });
    await assert.rejects(relocator.drop(workOf(), signal), { code: 'GODWIT_INTERNAL' });
    assert.deepEqual(orders, []);
  });

  test('a drop fails if either node of the new image stays open', async () => {
    for (const left of ['new', 'new-file']) {
      const { relocator, state } = guest('old', ['old', left]);
      state.refused.set('blockdev-del', new Refusal('in use'));
      await assert.rejects(relocator.drop(workOf(), signal), /in use/);
    }
  });
});
