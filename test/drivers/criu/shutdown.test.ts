import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { isDown, lifeOfHandle } from '../../../src/drivers/criu/handle.ts';
import { Records } from '../../../src/drivers/criu/records.ts';
import { stopSignal } from '../../../src/drivers/criu/shutdown.ts';
import { bootId, ownIdentity } from '../../../src/host/process.ts';

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

test('a container that was shut down to be moved is still there; after a restart of the host it is gone', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-down-'));
  try {
    const records = new Records(directory);
    const mover = { ...ownIdentity(), bootId: bootId() };
    const ended = { pid: 2 ** 22 + 1, startTicks: 1, bootId: bootId() };
    const handle = { driver: 'criu', name: 'box', memoryBytes: 1, init: ended } as const;
    const base = { token: 'one', mover, memoryBytes: 1 };
    assert.equal(lifeOfHandle(handle, records).state, 'gone');
    await records.write('box', { ...base, down: { init: ended, bundle: '/bundle' } });
    assert.equal(lifeOfHandle(handle, records).state, 'alive');
    const other = { ...handle, init: { ...ended, startTicks: 2 } };
    assert.equal(lifeOfHandle(other, records).state, 'gone');
    const before = { ...ended, bootId: 'another' };
    await records.write('box', { ...base, down: { init: before, bundle: '/bundle' } });
    assert.equal(lifeOfHandle(handle, records).state, 'gone');
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a container that was started again is found by the handle that names its first process before', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-again-'));
  try {
    const records = new Records(directory);
    const mover = { ...ownIdentity(), bootId: bootId() };
    const was = { pid: 2 ** 22 + 1, startTicks: 1, bootId: bootId() };
    const handle = { driver: 'criu', name: 'box', memoryBytes: 1, init: was } as const;
    const record = { token: 'one', mover, memoryBytes: 1, was, init: mover };
    await records.write('box', record);
    assert.equal(lifeOfHandle(handle, records).state, 'alive');
    const down = { init: mover, bundle: '/bundle' };
    assert.ok(isDown(handle, { ...record, down }));
    assert.ok(isDown({ ...handle, init: undefined, token: 'one' }, { ...record, down }));
  } finally {
    await rm(directory, { recursive: true });
  }
});
