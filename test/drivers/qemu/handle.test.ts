import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { describe, test } from 'node:test';
import { QemuDriver } from '../../../src/drivers/qemu/driver.ts';
import { handleIn, handleOf, launchIn, type QemuHandle } from '../../../src/drivers/qemu/handle.ts';

const old: QemuHandle = {
  driver: 'qemu',
  name: 'web1',
  pid: 7,
  startTicks: 9,
  monitor: '/q/qmp.sock',
};

const dirs = {
  cgroup: 'none',
  cacheDir: tmpdir(),
  guestsDir: tmpdir(),
  imageDirs: [],
} as const;

const altered = (handle: QemuHandle): QemuHandle => handle;

describe('a handle of the QEMU driver', () => {
  test('a handle is read from a record of an earlier build, without a boot id', () => {
    assert.deepEqual(handleOf(old), old);
  });

  test("a damaged handle, or another driver's, names no QEMU", () => {
    for (const other of [
      { driver: 'fake', name: 'web1', instance: 7 },
      { ...old, driver: 'fake' },
      { ...old, pid: 0 },
      { ...old, monitor: undefined },
    ]) {
      assert.equal(handleIn(other), undefined);
      assert.throws(() => handleOf(other), { code: 'GODWIT_INTERNAL' });
    }
  });

  test('an unreadable handle proves nothing about a process', async () => {
    const driver = new QemuDriver({
      host: 'a',
      binaries: [],
      user: 'agent',
      ...dirs,
    });
    assert.equal((await driver.life({ driver: 'qemu', name: 'web1' })).state, 'unknown');
  });

  test('a handle stands for one process: by pid, start time and boot', () => {
    const driver = new QemuDriver({
      host: 'a',
      binaries: [],
      user: 'agent',
      ...dirs,
    });
    const now: QemuHandle = { ...old, bootId: 'one' };
    assert.equal(driver.isSame(now, altered({ ...now, monitor: '/elsewhere' })), true);
    assert.equal(driver.isSame(now, old), true);
    assert.equal(driver.isSame(now, altered({ ...now, bootId: 'two' })), false);
    assert.equal(driver.isSame(now, altered({ ...now, startTicks: 10 })), false);
    assert.equal(driver.isSame(now, altered({ ...now, pid: 8 })), false);
    assert.equal(
      driver.isSame({ driver: 'qemu', name: 'a' }, { driver: 'qemu', name: 'a' }),
      false,
    );
  });

  test('a malformed launch cannot start a guest again', () => {
    const launch = { binary: '/usr/bin/qemu', argv: ['-S'], cwd: '/' };
    assert.deepEqual(launchIn(launch, 'web1', 'a'), launch);
    assert.throws(() => launchIn({ argv: 'x' }, 'web1', 'a'), { code: 'GODWIT_RESTART' });
  });
});
