import assert from 'node:assert/strict';
import {
  appendFile,
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  stat,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import type { DiskRequest } from '../../lab/guest/disks.ts';
import { domainStates, startDomain, stopDomain } from '../../lab/libvirt/guest.ts';
import { ownTree } from '../../lab/libvirt/mounts.ts';
import { labHost } from '../../lab/state.ts';
import { processesOf, restartLibvirtd } from './support/libvirt-daemon.ts';
import { begin, move, reportAtEnd } from './support/moves.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
/** libvirt-qemu, as Debian numbers it. */
const USER = 64_055;
const THERE = { guest: 'web1', from: 'a', to: 'b' } as const;
const BACK = { guest: 'web1', from: 'b', to: 'a' } as const;
const HOSTS = ['a', 'b'] as const;

/** As distributions set libvirt up: its QEMUs run as a user of their own, to whom libvirt gives what they open. */
describe('a guest of libvirt whose QEMU does not run as root', () => {
  let world: World;

  before(async () => {
    world = await openWorld('lvuser', { hosts: 2, manager: 'libvirt' });
    for (const host of HOSTS) await runAsUser(host);
  });
  after(() => world?.close());
  afterEach(() => stopDomain(world.lab, 'web1'));

  /** Boots the guest at a, where its serial port may be written. */
  async function start(disks: readonly DiskRequest[]): Promise<void> {
    const { lab } = world;
    const own = path.join(lab.dir, 'domains/web1');
    await mkdir(own, { recursive: true });
    await chown(own, USER, USER);
    await startDomain(lab, { name: 'web1', host: 'a', memoryBytes: 192 * MIB, disks });
    assert.deepEqual(await usersOfQemu(), [USER]);
  }

  async function usersOfQemu(): Promise<number[]> {
    const all = await Promise.all(HOSTS.map((host) => processesOf(world.lab, host, /qemu-system/)));
    const found = await Promise.all(all.flat().map(({ pid }) => stat(`/proc/${pid}`)));
    return found.map(({ uid }) => uid);
  }

  async function runAsUser(host: string): Promise<void> {
    const { lab } = world;
    const member = labHost(lab, host);
    const file = path.join(ownTree(member), 'etc/libvirt/qemu.conf');
    const before = await readFile(file, 'utf8');
    const now = before
      .replace('user = "root"', 'user = "libvirt-qemu"')
      .replace('group = "root"', 'group = "libvirt-qemu"')
      .replace('dynamic_ownership = 0', 'dynamic_ownership = 1');
    await writeFile(file, now);
    await intoGroupOfKvm(path.join(ownTree(member), 'etc/group'));
    for (let above = member.dir; above !== '/'; above = path.dirname(above)) await passable(above);
    await restartLibvirtd(lab, host);
  }

  /** As distributions have it: libvirt asks QEMU anew each time where it has KVM and its user has not. */
  async function intoGroupOfKvm(file: string): Promise<void> {
    const kvm = await stat('/dev/kvm').catch(() => undefined);
    if (kvm !== undefined) await appendFile(file, `lab-kvm:x:${kvm.gid}:libvirt-qemu\n`);
  }

  async function passable(directory: string): Promise<void> {
    const { mode } = await stat(directory);
    if ((mode & 0o1) === 0) await chmod(directory, (mode & 0o7777) | 0o11);
  }

  async function giveKeys(host: string, uid: number): Promise<void> {
    const directory = path.join(labHost(world.lab, host).dir, 'libvirt-pki');
    for (const name of await readdir(directory)) await chown(path.join(directory, name), uid, uid);
    await chown(directory, uid, uid);
  }

  async function assertRunsAt(host: string): Promise<void> {
    assert.deepEqual(await domainStates(world.lab, 'web1'), [{ host, status: 'running' }]);
  }

  test('a guest stays while QEMU cannot read its key, and moves with its disk once it can', async () => {
    await start([{ bytes: 16 * MIB, thin: true }]);
    const refused = await reportAtEnd(world, 'a', await begin(world, THERE));
    assert.equal(refused.outcome, 'failed');
    assert.match(refused.error?.message ?? '', /credentials|certificate|key/i);
    await assertRunsAt('a');
    for (const host of HOSTS) await giveKeys(host, USER);
    for (const way of [THERE, BACK]) {
      const report = await move(world, way);
      assert.equal(report.leftovers, undefined);
      await assertRunsAt(way.to);
      assert.deepEqual(await usersOfQemu(), [USER]);
    }
  });

  test('a guest moves over the wire by sockets that its user may use, and nothing of them is left', async () => {
    await start([]);
    for (const way of [THERE, BACK]) {
      const report = await move(world, { ...way, path: 'wire' });
      assert.ok((report.wire?.streamBytes ?? 0) > MIB, JSON.stringify(report.wire));
      await assertRunsAt(way.to);
    }
    for (const host of HOSTS) {
      const place = path.join(ownTree(labHost(world.lab, host)), 'var/lib/libvirt/qemu');
      const left = (await readdir(place)).filter((name) => name.startsWith('godwit-'));
      assert.deepEqual(left, []);
    }
  });
});
