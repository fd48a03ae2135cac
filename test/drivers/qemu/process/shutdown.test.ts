import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  rebootAction,
  shutDown,
  shutdownAction,
  startAgain,
  startFromDisks,
} from '../../../../src/drivers/qemu/process/shutdown.ts';
import type { QemuHandle } from '../../../../src/drivers/qemu/handle.ts';

const GUEST: QemuHandle = {
  driver: 'qemu',
  name: 'web1',
  pid: process.pid,
  startTicks: 1,
  monitor: 'm',
};
const signal = AbortSignal.timeout(10_000);

/** A monitor whose guest goes down when it has been looked at so often after its button was pressed. */
function monitor(status: string, looksUntilDown = Infinity) {
  const said: string[] = [];
  let now = status;
  let looks = 0;
  const client = {
    execute: (command: string, args: object = {}) => {
      said.push([command, ...Object.values(args)].join(' '));
      if (command === 'cont') now = 'running';
      return Promise.resolve({});
    },
    query: () => {
      looks += 1;
      if (looks > looksUntilDown) now = 'shutdown';
      return Promise.resolve({ status: now, running: now === 'running' });
    },
  };
  return { said, client: client as unknown as Parameters<typeof shutDown>[0] };
}

describe('the power button of a guest', () => {
  test('the button is pressed once QEMU is told to stay, and the guest is waited for', async () => {
    const { client, said } = monitor('running', 2);
    await shutDown(client, signal);
    assert.deepEqual(said, ['set-action pause', 'system_powerdown']);
  });

  test('the button is not pressed if the guest has gone down already', async () => {
    const { client, said } = monitor('shutdown');
    await shutDown(client, signal);
    assert.deepEqual(said, ['set-action pause']);
  });

  test('the guest is waited for no longer than the caller waits', async () => {
    const { client } = monitor('running');
    await assert.rejects(shutDown(client, AbortSignal.timeout(20)));
  });

  test('the button is undone by a reset if the guest goes down in time', async () => {
    const { client, said } = monitor('running', 2);
    await startAgain(client, GUEST, 10_000, signal);
    assert.deepEqual(said, ['set-action poweroff', 'system_reset', 'cont']);
  });

  test('a guest that its owner has paused is not waited for: it stays paused', async () => {
    const { client, said } = monitor('paused');
    await startAgain(client, GUEST, 3_600_000, signal);
    assert.deepEqual(said, ['set-action poweroff']);
  });

  test('a guest that does not go down is left alone', async () => {
    const { client, said } = monitor('running');
    await startAgain(client, GUEST, 0, signal);
    assert.deepEqual(said, ['set-action poweroff']);
  });
});

test('the shutdown action of QEMU is the one it was started with', () => {
  assert.equal(shutdownAction(['qemu', '-m', '1G']), 'poweroff');
  assert.equal(shutdownAction(['qemu', '-no-shutdown']), 'pause');
  assert.equal(shutdownAction(['qemu', '-action', 'reboot=shutdown,shutdown=pause']), 'pause');
  assert.equal(
    shutdownAction(['qemu', '-no-shutdown', '--action', 'shutdown=poweroff']),
    'poweroff',
  );
  assert.equal(shutdownAction(['qemu', '-name', 'shutdown=pause']), 'poweroff');
});

describe('a guest started from its disks after its handover', () => {
  /** A QEMU that resets its guest two looks after it was told to. */
  function handedOver() {
    const said: string[] = [];
    let looks = 0;
    let isReset = false;
    const client = {
      execute: (command: string, args: object = {}) => {
        const looked = command === 'cont' ? ` after ${looks} looks` : '';
        said.push([command, ...Object.values(args)].join(' ') + looked);
        isReset ||= command === 'system_reset';
        return Promise.resolve({});
      },
      query: () => {
        if (isReset) looks += 1;
        return Promise.resolve({ status: looks > 2 ? 'prelaunch' : 'postmigrate', running: false });
      },
    };
    return { said, client: client as unknown as Parameters<typeof startFromDisks>[0] };
  }

  test('the guest runs only once QEMU has reset it, whatever QEMU does when a guest restarts', async () => {
    const { client, said } = handedOver();
    await startFromDisks(client, GUEST, signal);
    assert.deepEqual(said, [
      'set-action reset',
      'system_reset',
      'set-action reset',
      'cont after 3 looks',
    ]);
  });

  test('the restart action of QEMU is the previous one again', () => {
    assert.equal(rebootAction(['qemu', '-no-reboot']), 'shutdown');
    assert.equal(rebootAction(['qemu', '-action', 'shutdown=pause,reboot=shutdown']), 'shutdown');
    assert.equal(rebootAction(['qemu', '--no-reboot', '--action', 'reboot=reset']), 'reset');
    assert.equal(rebootAction(['qemu', '-no-shutdown']), 'reset');
  });
});
