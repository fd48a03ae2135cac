import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { cgroupOf } from '../../../../src/drivers/criu/host/processes.ts';
import { Records } from '../../../../src/drivers/criu/link/records.ts';
import { criuOptions } from '../../../../src/drivers/criu/options.ts';
import { PodmanRuntime } from '../../../../src/drivers/criu/podman/runtime.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';
import { ownIdentity } from '../../../../src/system/processes/process.ts';

const ID = 'a'.repeat(64);
const BUNDLE = '/bundle';
const WITHIN = [{ ifindex: 2, ifname: 'eth0', link_index: 9 }];
const HERE = [{ ifindex: 9, ifname: 'veth7', link_index: 2 }];

let prefix: string;
beforeEach(async () => {
  prefix = await mkdtemp(path.join(os.tmpdir(), 'godwit-podman-'));
});
afterEach(() => removeTree(prefix));

/** A container of podman whose first process is `pid`; `ran` gets the commands for its end. */
async function podmanRuntime(pid: number, ran: string[], isKnown = true) {
  const records = new Records(path.join(prefix, 'containers'));
  const podman = { id: ID, runtime: 'runc' as const, macs: ['52:54:00:00:00:01'] };
  const made = { netns: 'none', nics: [], overlay: true };
  const record = { token: 't', mover: ownIdentity(), memoryBytes: 1, made, podman };
  await records.write('box', record);
  const state = path.join(prefix, 'run/runc', ID);
  await mkdir(state, { recursive: true });
  await writeFile(path.join(state, 'state.json'), '{}');
  await mkdir(path.join(prefix, BUNDLE));
  const namespaces = [{ type: 'network', path: '/run/netns/of-podman' }];
  const config = { root: { path: '/merged' }, mounts: [], linux: { namespaces } };
  await writeFile(path.join(prefix, BUNDLE, 'config.json'), JSON.stringify(config));
  const options = criuOptions.parse({ programs: prefix, root: path.join(prefix, 'other') });
  const runtime = new PodmanRuntime({ host: 'b', options, records, prefix }, podman);
  runtime.run = async (argv) => {
    const line = argv.join(' ');
    if (line.includes(' state ')) {
      return JSON.stringify({ pid, status: 'running', bundle: BUNDLE, rootfs: '/merged' });
    }
    if (line === 'nsenter --net=/run/netns/of-podman ip -j link') return JSON.stringify(WITHIN);
    if (line === 'ip -j link') return JSON.stringify(HERE);
    if (line.startsWith('podman ps ')) return isKnown ? `${ID} web` : '';
    if (line === 'nft list tables bridge') return 'table bridge godwit-t';
    ran.push(line.replace(ID, 'ID'));
    if (line.startsWith('podman container cleanup'))
      await rm(state, { recursive: true, force: true });
    return '';
  };
  return runtime;
}

test('a container that is ended but kept has no network, and podman starts it no more', async (t) => {
  const child = spawn('sleep', ['600']);
  t.after(() => child.kill('SIGKILL'));
  const { pid = 0 } = child;
  const ended = once(child, 'exit');
  // Frozen, as at a source: the signal waits for the thaw.
  const cgroup = (await cgroupOf(pid, prefix)) ?? '';
  await mkdir(cgroup, { recursive: true });
  await writeFile(path.join(cgroup, 'cgroup.procs'), `${pid}\n`);
  await writeFile(path.join(cgroup, 'freezer.state'), 'FROZEN');
  const ran: string[] = [];
  const runtime = await podmanRuntime(pid, ran);
  await runtime.end('box');
  assert.deepEqual(ran, [
    'ip link set veth7 down',
    'podman update --restart=no ID',
    'podman container cleanup ID',
    'nft delete table bridge godwit-t',
  ]);
  assert.deepEqual(await ended, [null, 'SIGKILL']);
  assert.equal(await readFile(path.join(cgroup, 'freezer.state'), 'utf8'), 'THAWED');
  await runtime.end('box');
});

test('a container that podman does not know is ended without it', async () => {
  const ran: string[] = [];
  const runtime = await podmanRuntime(0, ran, false);
  await runtime.end('box');
  assert.deepEqual(ran, ['ip link set veth7 down', 'nft delete table bridge godwit-t']);
});

test('a container that is removed goes with its record', async () => {
  const ran: string[] = [];
  const runtime = await podmanRuntime(0, ran);
  await runtime.remove('box');
  assert.deepEqual(ran, [
    'podman rm --force --time 0 --ignore ID',
    'nft delete table bridge godwit-t',
  ]);
});
