import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { libvirtSocket, POOL, virsh } from '../../lab/libvirt/daemon.ts';
import { domainStates, startDomain, stopDomain } from '../../lab/libvirt/guest.ts';
import { ownFiles } from '../../lab/libvirt/mounts.ts';
import { openProbe } from '../../lab/probe/probe.ts';
import { labHost } from '../../lab/state.ts';
import { labStatus } from '../../lab/status.ts';
import { openWorld, type World } from './support/world.ts';

const GODWIT = fileURLToPath(new URL('../../godwit', import.meta.url));
const MIB = 1024 ** 2;
const WAIT_MS = 120_000;
/** What libvirt keeps of itself on a machine; a lab’s hosts have mounts of their own there. */
const PLACES = ['/run/libvirt', '/etc/libvirt', '/var/lib/libvirt', '/var/log/libvirt/qemu'];

/** The lab as a user has it: `godwit lab up --with libvirt`. */
describe('a lab whose hosts have libvirt', () => {
  let world: World;
  let untouched: string;

  before(async () => {
    untouched = await ofTheMachine();
    world = await openWorld('lvlab', { hosts: 2, manager: 'libvirt' });
  });
  after(async () => {
    const dir = world?.lab.dir;
    await world?.close();
    if (dir !== undefined) assert.equal(existsSync(dir), false);
    assert.equal(await ofTheMachine(), untouched, 'nothing of this machine’s own libvirt');
  });

  async function godwit(host: string, ...words: readonly string[]): Promise<string> {
    const child = spawn(GODWIT, words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, GODWIT_AGENT: labHost(world.lab, host).agentSocket, NO_COLOR: '1' },
      timeout: WAIT_MS,
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    }
    const [exit] = (await once(child, 'close')) as [number | null];
    assert.equal(exit, 0, said);
    return said;
  }

  test('guests move and return by TLS, and a client keeps its connection', async () => {
    const { lab } = world;
    await startDomain(lab, { name: 'web1', host: 'a', memoryBytes: 192 * MIB });
    const probe = await openProbe(lab, 'web1');
    await probe.mark();
    assert.match(await godwit('a', 'guests'), /web1 +a +running .* libvirt tcg/);
    await godwit('a', 'migrate', 'web1', '--to', 'b');
    assert.deepEqual(await domainStates(lab, 'web1'), [{ host: 'b', status: 'running' }]);
    await godwit('b', 'migrate', 'web1', '--to', 'a');
    assert.deepEqual(await domainStates(lab, 'web1'), [{ host: 'a', status: 'running' }]);
    const view = await probe.settle();
    assert.equal(view.connectionKept, true, view.reason ?? '');
    assert.equal((await verifyGuest(lab, 'web1')).ok, true);
    const { guests, manager } = await labStatus(lab.name);
    assert.equal(manager, 'libvirt');
    assert.deepEqual(
      guests.map(({ seen }) => seen.map(({ host, status }) => [host, status])),
      [[['a', 'running']]],
    );
    await probe.stop();
    await stopDomain(lab, 'web1');
    await assertNone();
  });

  test("guests are found by virtqemud's socket if the daemon has no other one, and they move", async () => {
    const { lab } = world;
    await startDomain(lab, { name: 'web2', host: 'a', memoryBytes: 192 * MIB });
    const own = libvirtSocket(labHost(lab, 'a'));
    const modular = path.join(path.dirname(own), 'virtqemud-sock');
    await rename(own, modular);
    try {
      assert.match(await godwit('a', 'guests'), /web2 +a +running .* libvirt tcg/);
      await godwit('a', 'migrate', 'web2', '--to', 'b');
    } finally {
      await rename(modular, own);
    }
    assert.deepEqual(await domainStates(lab, 'web2'), [{ host: 'b', status: 'running' }]);
    await stopDomain(lab, 'web2');
    await assertNone();
  });

  test("a disk is copied in both directions while the guest writes, and each host keeps only its guest's disks", async () => {
    const { lab } = world;
    await startDomain(lab, {
      name: 'db1',
      host: 'a',
      memoryBytes: 192 * MIB,
      disks: [{ bytes: 32 * MIB, thin: true }],
      diskBytesPerSecond: MIB,
    });
    const volumes = (): string[][] =>
      ['a', 'b'].map((host) => ownFiles(labHost(lab, host), POOL.directory));
    const before = volumes();
    assert.deepEqual(before, [['db1-disk0.qcow2'], []]);
    await godwit('a', 'migrate', 'db1', '--to', 'b');
    assert.deepEqual(volumes(), before.toReversed());
    await assertDiskKept('db1');
    await godwit('b', 'migrate', 'db1', '--to', 'a');
    assert.deepEqual(volumes(), before);
    await assertDiskKept('db1');
    await stopDomain(lab, 'db1');
    assert.deepEqual(volumes(), [[], []]);
    await assertNone();
  });

  /** The guest reads again what it wrote to its disk. */
  async function assertDiskKept(guest: string): Promise<void> {
    const { diskChunks, badDiskChunks } = await verifyGuest(world.lab, guest);
    assert.ok(diskChunks > 0);
    assert.equal(badDiskChunks, 0);
  }

  async function assertNone(): Promise<void> {
    const { lab } = world;
    assert.deepEqual(await domainStates(lab, 'web1'), []);
    for (const host of lab.hosts) {
      assert.equal((await virsh(lab, host, ['list', '--all', '--name'])).trim(), '');
    }
  }
});

async function ofTheMachine(): Promise<string> {
  const all = PLACES.map(async (place) => [place, await readdir(place).catch(() => 'absent')]);
  return JSON.stringify(await Promise.all(all));
}
