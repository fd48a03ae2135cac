import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { CriuDriver } from '../../../../src/drivers/criu/driver.ts';
import {
  isSandbox,
  managedContainers,
  managerOf,
  named,
} from '../../../../src/drivers/criu/runtimes/managed-containers.ts';
import { criuOptions } from '../../../../src/drivers/criu/options.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';
import { startTicksOf } from '../../../../src/system/processes/process.ts';
import { judgeGuest } from '../../../../src/migration/preflight/guest.ts';

const SIGNAL = new AbortController().signal;
const ID = '9e88348ee1ea227d3114bf184d3a16c6394cc218d42657af8f1070b2370cd078';
const FIXTURE = new URL('state.json', new URL('runc-state/', import.meta.url));

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(path.join(os.tmpdir(), 'godwit-managed-'));
  t.after(() => removeTree(made));
  return made;
}

/** state.json as runc 1.3.6 has written it, of a container whose first process is this one. */
async function runs(root: string, id: string, labels: readonly string[], more = {}): Promise<void> {
  const state = JSON.parse(await readFile(FIXTURE, 'utf8')) as { config: object };
  const own = { id, init_process_pid: process.pid, init_process_start: startTicksOf(process.pid) };
  await mkdir(path.join(root, id), { recursive: true });
  const text = JSON.stringify({ ...state, ...own, config: { ...state.config, labels }, ...more });
  await writeFile(path.join(root, id, 'state.json'), text);
}

async function crunRuns(root: string, id: string, bundle: string, pid: number): Promise<void> {
  await mkdir(path.join(root, id), { recursive: true });
  const status = { pid, 'process-start-time': startTicksOf(pid), rootfs: '/r', bundle };
  await writeFile(path.join(root, id, 'status'), JSON.stringify(status));
}

test("the manager of a container is known by its start command, else by its runtime's directory", () => {
  assert.equal(managerOf({ 'io.kubernetes.cri-o.Name': 'x' }, '/run/runc'), 'CRI-O');
  assert.equal(
    managerOf({ 'io.kubernetes.cri.sandbox-id': 'x' }, '/run/containerd/runc'),
    'containerd',
  );
  assert.equal(managerOf({ 'nerdctl/name': 'x' }, ''), 'containerd');
  assert.equal(managerOf({ 'io.container.manager': 'libpod' }, '/run/crun'), 'podman');
  assert.equal(managerOf({}, '/run/docker/runtime-runc'), 'docker');
  assert.equal(managerOf({}, '/run/crun'), 'crun');
  assert.equal(managerOf({}, ''), undefined);
  assert.ok(isSandbox({ 'io.kubernetes.cri.container-type': 'sandbox' }));
});

test('each container gets a unique name that a guest may have', () => {
  const one = (id: string, called?: string) => ({
    id,
    pid: 1,
    labels: {},
    manager: 'docker',
    called,
    runtime: 'runc' as const,
    bundle: '/b',
  });
  const all = [
    one(ID, 'web'),
    one('b1', 'web'),
    one(`${ID}0`),
    one('redis1'),
    one('own'),
    one('..'),
    one(ID, 'long'.repeat(30)),
  ];
  const names = named(all, new Set(['own'])).map(({ name }) => name);
  assert.deepEqual(names, [
    'web-9e88348ee1ea',
    'web-b1',
    '9e88348ee1ea',
    'redis1',
    'own-own',
    `${'long'.repeat(12)}lo-9e88348ee1ea`,
  ]);
});

test('the containers of Docker, containerd, CRI-O and podman are listed with their managers', async (t) => {
  const prefix = await folder(t);
  const at = (place: string): string => path.join(prefix, place);
  await runs(at('/run/docker/runtime-runc/moby'), ID, ['bundle=/x']);
  await mkdir(at(`/var/lib/docker/containers/${ID}`), { recursive: true });
  await writeFile(at(`/var/lib/docker/containers/${ID}/config.v2.json`), '{"Name":"/web"}');
  await runs(at('/run/containerd/runc/default'), 'redis1', ['bundle=/x']);
  const cri = ['io.kubernetes.cri.container-name=coredns', 'io.kubernetes.cri.sandbox-name=dns-1'];
  await runs(at('/run/containerd/runc/k8s.io'), `${ID}1`, cri);
  const pause = [
    'io.kubernetes.cri.container-type=sandbox',
    'io.kubernetes.cri.sandbox-name=dns-1',
  ];
  await runs(at('/run/containerd/runc/k8s.io'), `${ID}2`, pause);
  const crio = [
    'io.kubernetes.cri-o.Name=x',
    'io.kubernetes.container.name=api',
    'io.kubernetes.pod.name=api-0',
  ];
  await runs(at('/run/runc'), `${ID}3`, crio);
  await runs(at('/run/runc'), 'mine', []);
  await runs(at('/run/runc'), `${ID}4`, []);
  await mkdir(at('/bundle'));
  await writeFile(at('/bundle/config.json'), '{"annotations":{"io.container.manager":"libpod"}}');
  await crunRuns(at('/run/crun'), `a${ID}`, '/bundle', process.pid);
  await crunRuns(at('/run/crun'), `b${ID}`, '/none', process.pid);
  // Of one that has ended, of one that is just made, and of nothing that anybody knows.
  await runs(at('/run/containerd/runc/default'), 'ended', [], { init_process_start: 1 });
  await writeFile(at('/run/containerd/runc/default/redis1/other'), 'x');
  await mkdir(at('/run/containerd/runc/default/begun'));
  const { otherRoots } = criuOptions.parse({});
  const found = await managedContainers(
    { prefix, root: '/run/runc', otherRoots },
    new Set(['mine']),
  );
  assert.deepEqual(found.map(({ name, manager }) => `${name} ${manager}`).toSorted(), [
    'a9e88348ee1e podman',
    'api-9e88348ee1ea CRI-O, in the pod api-0',
    'b9e88348ee1e crun',
    'coredns-9e88348ee1ea containerd, in the pod dns-1',
    'redis1 containerd',
    'web-9e88348ee1ea docker',
  ]);
});

test("a container of another manager is a guest that is refused by its manager's name", async (t) => {
  const directory = await folder(t);
  const other = path.join(directory, 'docker/runtime-runc');
  await runs(path.join(other, 'moby'), ID, []);
  const options = criuOptions.parse({ root: path.join(directory, 'runc'), otherRoots: [other] });
  const driver = new CriuDriver('a', options, directory);
  const looked = { host: 'a', busy: new Set<string>(), configured: [] };
  const name = ID.slice(0, 12);
  for (const only of [undefined, name]) {
    const seen = await driver.discover({ ...looked, ...(only && { only }) }, SIGNAL);
    assert.deepEqual(
      seen.map(({ info, handle }) => [info.name, info.manager, handle]),
      [[name, 'docker', undefined]],
    );
    const { state, manager, unmovable } = seen[0]?.info ?? assert.fail();
    const hint = seen[0]?.hint;
    const facts = { guest: name, state, manager, unmovable, hint, reachable: false };
    const [finding] = judgeGuest(facts);
    assert.equal(finding?.error?.code, 'GODWIT_GUEST_MANAGED');
    assert.match(finding.error.message, /managed by docker/);
    assert.match(finding.error.hint ?? '', /runc alone/);
  }
});

test("containers beyond the host's limit are not read", async (t) => {
  const prefix = await folder(t);
  for (const id of ['one', 'two', 'three'])
    await runs(path.join(prefix, 'run/containerd/runc/default'), id, []);
  const { otherRoots } = criuOptions.parse({});
  const places = { prefix, root: '/run/runc', otherRoots };
  assert.equal((await managedContainers(places, new Set(), 2)).length, 2);
});
