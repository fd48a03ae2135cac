import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { HostContext } from '../../../src/drivers/criu/host/host-context.ts';
import { isDown, lifeOfHandle } from '../../../src/drivers/criu/handle.ts';
import { identify } from '../../../src/drivers/criu/host/processes.ts';
import { Records } from '../../../src/drivers/criu/link/records.ts';
import { isUpAgain, shutDown, startAgain, stopSignal } from '../../../src/drivers/criu/shutdown.ts';
import { bootId, ownIdentity } from '../../../src/system/processes/process.ts';

test('a container is shut down by the signal that its image names, else by SIGTERM', () => {
  const named = (signal: unknown): string =>
    JSON.stringify({ annotations: { 'org.opencontainers.image.stopSignal': signal } });
  assert.equal(stopSignal(named('SIGQUIT')), 'SIGQUIT');
  assert.equal(stopSignal(named('SIGRTMIN+3')), 'SIGRTMIN+3');
  assert.equal(stopSignal(named('; reboot')), 'SIGTERM');
  assert.equal(stopSignal(named(3)), 'SIGTERM');
  assert.equal(stopSignal('{}'), 'SIGTERM');
  assert.equal(stopSignal('no json'), 'SIGTERM');
});

test('a container shut down for a move is still there; after a restart of the host it is gone', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-down-'));
  try {
    const records = new Records(directory);
    const mover = { ...ownIdentity(), bootId: bootId() };
    const ended = { pid: 2 ** 22 + 1, startTicks: 1, bootId: bootId() };
    const handle = { driver: 'criu', name: 'box', memoryBytes: 1, init: ended } as const;
    const base = { token: 'one', mover, memoryBytes: 1 };
    assert.equal(lifeOfHandle(handle, records).state, 'gone');
    await records.write('box', {
      ...base,
      down: { init: ended, bundle: '/bundle', upper: '/upper' },
    });
    assert.equal(lifeOfHandle(handle, records).state, 'alive');
    const other = { ...handle, init: { ...ended, startTicks: 2 } };
    assert.equal(lifeOfHandle(other, records).state, 'gone');
    const before = { ...ended, bootId: 'another' };
    await records.write('box', {
      ...base,
      down: { init: before, bundle: '/bundle', upper: '/upper' },
    });
    assert.equal(lifeOfHandle(handle, records).state, 'gone');
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a restarted container is found by the handle that names its previous first process', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-again-'));
  try {
    const records = new Records(directory);
    const mover = { ...ownIdentity(), bootId: bootId() };
    const was = { pid: 2 ** 22 + 1, startTicks: 1, bootId: bootId() };
    const handle = { driver: 'criu', name: 'box', memoryBytes: 1, init: was } as const;
    const record = { token: 'one', mover, memoryBytes: 1, was, init: mover };
    await records.write('box', record);
    assert.equal(lifeOfHandle(handle, records).state, 'alive');
    const down = { init: mover, bundle: '/bundle', upper: '/upper' };
    assert.ok(isDown(handle, { ...record, down }));
    assert.ok(isDown({ ...handle, init: undefined, token: 'one' }, { ...record, down }));
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a container's root is known before it is asked to end, and the next mover asks it, too", async (t) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-ends-'));
  t.after(() => rm(directory, { recursive: true }));
  const records = new Records(directory);
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  const init = identify(child.pid ?? 0);
  assert.ok(init !== undefined);
  const listed = { id: 'box', pid: init.pid, status: 'running', bundle: directory, rootfs: '/r' };
  const going = {
    handle: { driver: 'criu', name: 'box', memoryBytes: 1, init },
    listed,
    init,
  } as const;
  const asked: unknown[] = [];
  // The mover dies here, after its record and before the signal.
  const dies = async (): Promise<void> => {
    asked.push(records.readSync('box')?.down?.upper);
    throw new Error('the mover died');
  };
  const parts = { records, mountsOf: undefined, volumeDirs: [] };
  const run = async (): Promise<string> => '';
  await assert.rejects(shutDown({ ...parts, runc: { kill: dies, run } }, going, t.signal), /died/);
  const kill = async (name: string, word: string): Promise<void> => {
    asked.push(`${name} ${word}`);
    child.kill('SIGTERM');
  };
  await shutDown({ ...parts, runc: { kill, run } }, going, t.signal);
  assert.deepEqual(asked, ['/r', 'box SIGTERM']);
  // It has ended: nobody is asked.
  await shutDown({ ...parts, runc: { kill, run } }, going, t.signal);
  assert.equal(asked.length, 2);
});

test('a container that another program has started again counts as running', async (t) => {
  const listed = { id: 'box', pid: 1, bundle: '/b', rootfs: '/r' };
  for (const status of ['running', 'stopped', 'created', undefined]) {
    const found = status === undefined ? undefined : { ...listed, status };
    const runc = { state: async () => found } as unknown as HostContext['runc'];
    assert.equal(await isUpAgain({ runc }, 'box', t.signal), status === 'running');
  }
});

test('a container that is started again leaves none of the files to be sent', async (t) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-anew-'));
  t.after(() => rm(directory, { recursive: true }));
  const records = new Records(directory);
  const init = { pid: 2 ** 22 + 1, startTicks: 1, bootId: bootId() };
  const listed = { id: 'box', pid: process.pid, status: 'running', bundle: '/b', rootfs: '/r' };
  const down = { init, bundle: '/b', upper: '/r' };
  await records.write('box', { token: 'one', mover: ownIdentity(), memoryBytes: 1, down });
  // By a mover that was killed in the midst of it.
  await mkdir(path.join(directory, 'box', 'out'));
  await writeFile(path.join(directory, 'box', 'out', 'root.tar'), 'files');
  const runc = { state: async () => listed };
  const handle = { driver: 'criu', name: 'box', memoryBytes: 1, init } as const;
  const context = { runc, records } as unknown as HostContext;
  await startAgain(context, { handle, listed, init }, 1000, t.signal);
  assert.deepEqual(await readdir(path.join(directory, 'box')), ['record.json']);
});
