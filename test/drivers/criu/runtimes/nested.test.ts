import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { lookForNested, nestedObstacles } from '../../../../src/drivers/criu/runtimes/nested.ts';
import { until } from '../../../until.ts';

const OWN = { pid: 'pid:[1]', user: 'user:[2]' };

test('a namespace that an inner process created is refused by its kind, with an alternative', () => {
  const [found, ...more] = nestedObstacles(OWN, [OWN, { ...OWN, user: 'user:[9]' }]);
  assert.deepEqual(more, []);
  assert.equal(found?.device, 'the user namespace of a process in it');
  assert.equal(found?.ofMemory, true);
  assert.match(found?.hint ?? '', /--mode cold/);
});

test('a container with one namespace of each kind, or whose process has ended, is accepted', () => {
  assert.deepEqual(nestedObstacles(OWN, [OWN, {}]), []);
  assert.deepEqual(nestedObstacles({}, [OWN]), []);
});

const skip = process.getuid?.() === 0 ? false : 'only root makes namespaces everywhere';

test('the kernel reports which process has a separate namespace', { skip }, async () => {
  const child = spawn('unshare', ['--ipc', 'sleep', '60']);
  try {
    const { pid = 0 } = child;
    await until('its namespace', 10_000, async () =>
      readlinkSync(`/proc/${pid}/ns/ipc`) === readlinkSync('/proc/self/ns/ipc') ? undefined : true,
    );
    const found = await lookForNested(process.pid, [process.pid, pid]);
    assert.deepEqual(
      found.map(({ device }) => device),
      ['the ipc namespace of a process in it'],
    );
    assert.deepEqual(await lookForNested(process.pid, [process.pid]), []);
  } finally {
    child.kill('SIGKILL');
  }
});
