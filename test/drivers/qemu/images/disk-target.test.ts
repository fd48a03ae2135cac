import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { QemuDiskTarget } from '../../../../src/drivers/qemu/images/disk-target.ts';
import type { QemuProgram } from '../../../../src/drivers/qemu/programs/binaries.ts';
import { exportId } from '../../../../src/drivers/qemu/images/exports.ts';
import type { BlockNode } from '../../../../src/drivers/qemu/spec/disks/disk-schema.ts';
import { blockdevWords } from '../../../../src/drivers/qemu/spec/disks/disks-argv.ts';
import type { Identifier } from '../../../../src/port/disks.ts';
import type { GuestDescription } from '../../../../src/protocol/peer/migration.ts';
import { fakeMonitor, Refusal } from '../fake-monitor.ts';
import { MAKE, blockNode as node, emptySpec } from '../spec/samples.ts';

const MIB = 1024 ** 2;
const signal = new AbortController().signal;

function descriptionOf(blockNodes: readonly BlockNode[], reported = blockNodes): GuestDescription {
  const spec = emptySpec({ blockNodes: [...blockNodes] });
  const images = reported.map((each) => {
    const common = { format: each.format, bytes: MIB, allocatedBytes: 0, readOnly: false };
    return { node: each.node, ...common };
  });
  const facts = { memoryBytes: 512 * MIB, vcpus: 1, hypervisorVersion: '7.2.22' };
  const disks = [{ name: 'disk0', images }];
  return { driver: 'qemu', name: 'web1', ...facts, disks, spec };
}

interface Target {
  readonly pid?: number;
  readonly hasNone?: boolean;
  readonly programs?: readonly QemuProgram[];
}

/** The target, and the QEMU that offers: its exports, and what it refuses. */
function targetOf({ pid = process.pid, hasNone = false, programs = [] }: Target = {}) {
  const orders: [command: string, args: Readonly<Record<string, unknown>>][] = [];
  const qemu = {
    exports: [] as { id: string; node: string; ending?: number }[],
    refused: new Map<string, string>(),
    sizes: new Map<string, number>(),
  };
  const { client } = fakeMonitor((command, args) => {
    if (command === 'query-block-exports') {
      // What is shutting down goes by itself.
      qemu.exports = qemu.exports.filter((each) => each.ending !== 0);
      const shown = qemu.exports.map(({ id, node: name, ending }) => ({
        id,
        'node-name': name,
        'shutting-down': ending !== undefined,
      }));
      for (const each of qemu.exports) if (each.ending !== undefined) each.ending -= 1;
      return shown;
    }
    if (command === 'query-named-block-nodes') {
      return [...qemu.sizes].map(([name, bytes]) => {
        return { 'node-name': name, image: { 'virtual-size': bytes } };
      });
    }
    orders.push([command, args]);
    const reason = qemu.refused.get(command);
    if (reason !== undefined) {
      qemu.refused.delete(command);
      return new Refusal(reason);
    }
    if (command === 'block-export-add') {
      qemu.exports.push({ id: String(args['id']), node: String(args['node-name']) });
    }
    if (command === 'block-export-del') {
      const found = qemu.exports.find(({ id }) => id === args['id']);
      if (found !== undefined) found.ending = 2;
    }
    return undefined;
  });
  const images: unknown = {};
  const target = new QemuDiskTarget(
    { host: 'b', guest: 'web1', guestDir: '/run/none/web1' },
    { programs: async () => [...programs], images: images as Identifier, user: 'agent' },
    async () => (hasNone ? undefined : { client, pid }),
  );
  const names = (): string[] => orders.map(([command]) => command);
  const argsOf = (command: string) => orders.filter(([one]) => one === command).map(([, a]) => a);
  return { target, qemu, names, argsOf };
}

/** A process that looks like the QEMU of these disks. */
function qemuWith(t: TestContext, nodes: readonly BlockNode[]): number {
  const files = new Map(nodes.map((each) => [each.node, `/pool/${each.node}`]));
  const argv = ['-c', 'read -r _', ...blockdevWords(nodes, files)];
  const child = spawn('/bin/sh', argv, { argv0: 'qemu-system-x86_64', stdio: 'pipe' });
  t.after(() => child.kill());
  assert.ok(child.pid !== undefined);
  return child.pid;
}

function discardsOf(args: Readonly<Record<string, unknown>> | undefined): unknown[] {
  const options = args?.['options'];
  assert.ok(Array.isArray(options));
  return options.map((each: Record<string, unknown>) => each['discard']);
}

describe('images of a destination', () => {
  let top: string;
  before(async () => {
    top = await mkdtemp(path.join(os.tmpdir(), 'godwit-target-'));
  });
  after(() => rm(top, { recursive: true, force: true }));

  test('the images are empty files of the size that the source reported', async () => {
    const { target } = targetOf();
    const file = path.join(top, 'raw');
    await target.create(descriptionOf([node('vda')]), [{ node: 'vda', file }], signal);
    const made = await stat(file);
    assert.deepEqual([made.size, made.blocks], [MIB, 0]);
  });

  test('a node that the guest lacks, or whose size is unknown, gets no image', async () => {
    const { target } = targetOf();
    const unknown = { code: 'GODWIT_DISK_FAILED', message: /no such disk/ };
    const other = [{ node: 'vdb', file: path.join(top, 'none') }];
    await assert.rejects(target.create(descriptionOf([node('vda')]), other, signal), unknown);
    const unreported = descriptionOf([node('vda'), node('vdb')], [node('vda')]);
    await assert.rejects(target.create(unreported, other, signal), unknown);
    await assert.rejects(stat(path.join(top, 'none')), { code: 'ENOENT' });
  });

  test('the images are not created if the features of one are unknown, not even the others', async () => {
    const { target } = targetOf();
    const files = ['vda', 'vdb'].map((name) => ({ node: name, file: path.join(top, `f-${name}`) }));
    const description = descriptionOf([node('vda'), node('vdb', { format: 'qcow2' })]);
    await assert.rejects(target.create(description, files, signal), {
      code: 'GODWIT_DISK_FAILED',
      message: /with which features/,
    });
    await assert.rejects(stat(path.join(top, 'f-vda')), { code: 'ENOENT' });
  });

  test('the images replace no existing file', async () => {
    const { target } = targetOf();
    const file = path.join(top, 'there');
    await writeFile(file, 'of somebody');
    await assert.rejects(
      target.create(descriptionOf([node('vda')]), [{ node: 'vda', file }], signal),
      {
        code: 'GODWIT_DISK_FAILED',
        message: /cannot be made: .*there already/,
      },
    );
  });

  test('the images are refused if no QEMU here would run the guest', async () => {
    const { target } = targetOf();
    const description = descriptionOf([node('vda', { format: 'qcow2', make: MAKE })]);
    const file = path.join(top, 'qcow2');
    await assert.rejects(target.create(description, [{ node: 'vda', file }], signal), {
      code: 'GODWIT_HOST_LACKS',
    });
    // Its header is written into an empty file.
    assert.equal((await stat(file)).size, 0);
  });
});

describe('disks offered to the source', () => {
  test("the disks are exports of the guest's QEMU, writable, and raw ones make holes while they are filled", async (t) => {
    const pid = qemuWith(t, [node('vda')]);
    const { target, argsOf, names } = targetOf({ pid });
    await target.serve(['vda'], '/run/nbd', signal);
    assert.deepEqual(argsOf('block-export-add'), [
      { type: 'nbd', id: exportId('vda'), 'node-name': 'vda', name: 'vda', writable: true },
    ]);
    assert.deepEqual(discardsOf(argsOf('blockdev-reopen')[0]), ['unmap', 'unmap']);
    assert.deepEqual(names(), ['nbd-server-start', 'blockdev-reopen', 'block-export-add']);
    await target.end(signal);
    assert.deepEqual(discardsOf(argsOf('blockdev-reopen')[1]), ['ignore', 'ignore']);
  });

  test('disks of uneven size are written through the page cache until no host writes to them any more', async (t) => {
    const thin = { discard: 'unmap', fileDiscard: 'unmap' } as const;
    const pid = qemuWith(t, [node('vda', thin), node('vdb', thin)]);
    const { target, qemu, argsOf, names } = targetOf({ pid });
    qemu.sizes.set('vda', 67_109_376).set('vdb', MIB);
    await target.serve(['vda', 'vdb'], '/run/nbd', signal);
    await target.end(signal);
    const reopened = argsOf('blockdev-reopen').map(({ options }) => options);
    const file = { 'node-name': 'vda-file', driver: 'file' };
    assert.partialDeepStrictEqual(reopened, [
      [{ ...file, cache: { direct: false } }],
      [{ ...file, cache: { direct: true } }],
    ]);
    const order = names().filter((name) => /reopen|add|del/.test(name));
    const [once, twice] = ['block-export-add', 'block-export-del'].map((name) => [name, name]);
    const expected = ['blockdev-reopen', ...(once ?? []), ...(twice ?? []), 'blockdev-reopen'];
    assert.deepEqual(order, expected);
  });

  test('the disks are offered once, even when the next mover asks again', async () => {
    const { target, argsOf, names } = targetOf();
    await target.serve(['vda'], '/run/nbd', signal);
    await target.serve(['vda', 'vdb'], '/run/nbd', signal);
    assert.deepEqual(
      argsOf('block-export-add').map((each) => each['node-name']),
      ['vda', 'vdb'],
    );
    assert.equal(names().includes('blockdev-reopen'), false);
  });

  test('the disks are offered again once a finishing export has ended', async () => {
    const { target, qemu, argsOf } = targetOf();
    qemu.exports.push({ id: exportId('vda'), node: 'vda', ending: 2 });
    await target.serve(['vda'], '/run/nbd', signal);
    assert.equal(argsOf('block-export-add').length, 1);
    assert.equal(qemu.exports.length, 1);
  });

  test('the disks use the running server while its socket exists, and a new one if it is gone', async (t) => {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-nbd-'));
    t.after(() => rm(directory, { recursive: true }));
    const socket = path.join(directory, 'nbd');
    const server = createServer().listen(socket);
    t.after(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const { target, qemu, names } = targetOf();
    qemu.refused.set('nbd-server-start', 'NBD server already running');
    await target.serve([], socket, signal);
    assert.deepEqual(names(), ['nbd-server-start']);
    await writeFile(path.join(directory, 'file'), '');
    for (const gone of ['none', 'file']) {
      const other = targetOf();
      other.qemu.refused.set('nbd-server-start', 'NBD server already running');
      await other.target.serve([], path.join(directory, gone), signal);
      assert.deepEqual(other.names(), ['nbd-server-start', 'nbd-server-stop', 'nbd-server-start']);
    }
  });

  test('the disks are refused if the server cannot start, or if there is no QEMU', async () => {
    const { target, qemu } = targetOf();
    qemu.refused.set('nbd-server-start', 'permission denied');
    await assert.rejects(target.serve([], '/run/nbd', signal), { code: 'GODWIT_HYPERVISOR' });
    await assert.rejects(targetOf({ hasNone: true }).target.serve([], '/run/nbd', signal), {
      code: 'GODWIT_HYPERVISOR_LOST',
    });
  });
});

describe('the end of the offer', () => {
  test("the end closes only Godwit's exports, each once, and then the server", async () => {
    const { target, qemu, argsOf, names } = targetOf();
    qemu.exports.push(
      { id: exportId('vda'), node: 'vda' },
      { id: exportId('vdb'), node: 'vdb', ending: 3 },
      { id: 'backup', node: 'vda' },
    );
    await target.end(signal);
    assert.deepEqual(argsOf('block-export-del'), [{ id: exportId('vda'), mode: 'hard' }]);
    assert.deepEqual(
      qemu.exports.map(({ id }) => id),
      ['backup'],
    );
    assert.equal(names().at(-1), 'nbd-server-stop');
  });

  test('the end does nothing without a QEMU or after its server ended, and fails on any other refusal', async () => {
    await targetOf({ hasNone: true }).target.end(signal);
    const { target, qemu } = targetOf();
    qemu.refused.set('nbd-server-stop', 'NBD server not running');
    await target.end(signal);
    qemu.refused.set('nbd-server-stop', 'busy');
    await assert.rejects(target.end(signal), { code: 'GODWIT_HYPERVISOR' });
  });

  test('the end reports no written file if there is no QEMU', async () => {
    assert.equal(await targetOf({ hasNone: true }).target.written(signal), undefined);
  });
});
