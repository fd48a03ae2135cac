import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { findPod, podObstacles } from '../../../../src/drivers/criu/runtimes/pods.ts';
import type { RuncState } from '../../../../src/drivers/criu/runtimes/runc.ts';

const OWN = { pid: 'pid:[1]', net: 'net:[2]' };

test('a container that shares namespaces with another is refused by both names', () => {
  const web = { name: 'web', namespaces: { pid: 'pid:[9]', net: 'net:[2]' } };
  const [found, ...rest] = podObstacles(OWN, [web]);
  assert.deepEqual(rest, []);
  assert.equal(found?.device, 'the network namespace');
  assert.match(found?.reason ?? '', /pod with web$/);
  assert.match(found?.hint ?? '', /Stop web first/);
});

test('a container that is alone in its namespaces, or whose process has ended, is accepted', () => {
  const web = { name: 'web', namespaces: { pid: 'pid:[9]', net: 'net:[8]' } };
  assert.deepEqual(podObstacles(OWN, [web, { name: 'gone', namespaces: {} }]), []);
  assert.deepEqual(podObstacles({}, [{ name: 'gone', namespaces: {} }]), []);
});

test('three containers of a large pod are named, and the rest are counted', () => {
  const pod = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, namespaces: { net: 'net:[2]' } }));
  assert.match(podObstacles(OWN, pod)[0]?.reason ?? '', /with a, b, c and 2 more$/);
});

test('the kernel reports which containers share a namespace', async () => {
  const child = spawn('sleep', ['60']);
  try {
    await once(child, 'spawn');
    const listed = (id: string, pid: number): RuncState => ({
      id,
      pid,
      bundle: '/',
      rootfs: '/',
      status: 'running',
    });
    const box = listed('box', process.pid);
    const all = [box, listed('web', child.pid ?? 0), listed('stopped', 0)];
    const found = await findPod(box, all);
    assert.equal(found.length, 5);
    for (const { reason } of found) assert.match(reason, /with web$/);
    assert.deepEqual(await findPod(box, [box]), []);
  } finally {
    child.kill('SIGKILL');
  }
});
