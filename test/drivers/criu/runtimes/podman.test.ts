import assert from 'node:assert/strict';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { CriuDriver } from '../../../../src/drivers/criu/driver.ts';
import { criuOptions } from '../../../../src/drivers/criu/options.ts';
import { containersIn, podmanContainers } from '../../../../src/drivers/criu/runtimes/podman.ts';
import { GodwitError } from '../../../../src/errors.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';

const SIGNAL = new AbortController().signal;
const ID = '9e88348ee1ea227d3114bf184d3a16c6394cc218d42657af8f1070b2370cd078';
/** As podman 4.3.1 says it, shortened. */
const box = (more: object = {}): object => ({
  AutoRemove: false,
  Command: ['/bin/sleep', '600'],
  Exited: false,
  Id: ID,
  IsInfra: false,
  Labels: null,
  Names: ['pod1'],
  Networks: [],
  Pid: process.pid,
  Pod: '',
  PodName: '',
  Ports: null,
  State: 'running',
  ...more,
});

async function podman(t: TestContext, status: number, text: string): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-podman-'));
  const socket = path.join(directory, 'podman.sock');
  const asked: (string | undefined)[] = [];
  const server = http.createServer(({ url }, response) => {
    asked.push(url);
    response.writeHead(status).end(text);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.after(async () => {
    server.close();
    assert.deepEqual(new Set(asked), new Set(['/v4.0.0/libpod/containers/json']));
    await removeTree(directory);
  });
  return socket;
}

test('stopped containers and names that no guest may have are skipped', () => {
  const all = [box(), box({ Pid: 0, Names: ['created'] }), box({ Names: ['a/b'] })];
  assert.deepEqual(containersIn(JSON.stringify(all)), [
    { id: ID, name: `pod1-${ID.slice(0, 12)}`, pid: process.pid, manager: 'podman' },
  ]);
});

test('containers of podman are listed by name, with podman and their pod as manager', async (t) => {
  const all = [box(), box({ Id: `${ID}0`, Names: ['web'], PodName: 'shop' })];
  const socket = await podman(t, 200, JSON.stringify(all));
  const directory = path.dirname(socket);
  const options = criuOptions.parse({
    otherRoots: [],
    podman: socket,
    root: path.join(directory, 'runc'),
  });
  const driver = new CriuDriver('a', options, directory);
  const seen = await driver.discover({ host: 'a', busy: new Set(), configured: [] }, SIGNAL);
  assert.deepEqual(
    seen.map(({ info: { name, manager, state, pid } }) => ({ name, manager, state, pid })),
    [
      { name: `pod1-${ID.slice(0, 12)}`, manager: 'podman', state: 'running', pid: process.pid },
      {
        name: `web-${ID.slice(0, 12)}`,
        manager: 'podman, in the pod shop',
        state: 'running',
        pid: process.pid,
      },
    ],
  );
  for (const { handle, info } of seen) {
    assert.equal(handle, undefined);
    assert.ok((info.memoryBytes ?? 0) > 0);
  }
  const one = await driver.discover(
    { host: 'a', busy: new Set(), configured: [], only: `web-${ID.slice(0, 12)}` },
    SIGNAL,
  );
  assert.deepEqual(
    one.map(({ info }) => info.name),
    [`web-${ID.slice(0, 12)}`],
  );
});

test('a socket that does not answer as podman does is named', async (t) => {
  const refused = await podman(t, 500, 'no');
  const strange = await podman(t, 200, '{"cause":"?"}');
  const missing = `${refused}.not`;
  for (const [socket, why] of [
    [refused, /podman.sock: HTTP 500/],
    [strange, /podman.sock: .*expected array/s],
    [missing, /ENOENT/],
  ] as const) {
    await assert.rejects(podmanContainers('a', socket, SIGNAL), (error) => {
      assert.ok(error instanceof GodwitError);
      assert.equal(error.code, 'GODWIT_HYPERVISOR');
      assert.match(error.message, why);
      return true;
    });
  }
});

test('a podman that does not answer is reported in the list, and does not block a guest or a name', async (t) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-podman-'));
  t.after(() => removeTree(directory));
  const root = path.join(directory, 'states');
  await mkdir(root);
  const box = { id: 'box', pid: process.pid, status: 'running', bundle: directory, rootfs: '/' };
  const script = `#!/bin/sh\necho '${JSON.stringify([box])}'\n`;
  await writeFile(path.join(directory, 'runc'), script, { mode: 0o755 });
  const socket = path.join(directory, 'podman.sock');
  const options = criuOptions.parse({ otherRoots: [], podman: socket, root, programs: directory });
  const driver = new CriuDriver('a', options, directory);
  const names = async (only?: string): Promise<string[]> => {
    const asked = { host: 'a', busy: new Set<string>(), configured: [] };
    const seen = await driver.discover(only === undefined ? asked : { ...asked, only }, SIGNAL);
    return seen.map(({ info }) => info.name);
  };
  const silent = { code: 'GODWIT_HYPERVISOR' };
  await assert.rejects(names(), silent);
  assert.deepEqual(await names('box'), ['box']);
  assert.deepEqual(await names('new'), []);
  // One that takes the question and says nothing.
  const server = http.createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const fromMs = performance.now();
  assert.deepEqual(await names('new'), []);
  assert.ok(performance.now() - fromMs < 8000);
  await assert.rejects(names(), silent);
});
