import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runCommand } from '../../lab/command.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { virsh } from '../../lab/libvirt/daemon.ts';
import { domainStates, startDomain } from '../../lab/libvirt/guest.ts';
import { amongMounts } from '../../lab/libvirt/mounts.ts';
import type { Check } from '../../src/protocol/public/migration.ts';
import { loopOf } from '../disks/proof/loops.ts';
import { move, refusalOf } from './support/moves.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;

describe('a guest of libvirt with a block device', () => {
  let world: World;

  before(async () => {
    world = await openWorld('lvblk', { hosts: 2, manager: 'libvirt' });
    await startDomain(world.lab, { name: 'web1', host: 'a', memoryBytes: 192 * MIB });
  });
  after(() => world?.close());

  const disks = (checks: readonly Check[]): string[] =>
    checks
      .filter(({ name, side }) => name === 'disks' && side === 'both')
      .map(({ verdict, evidence }) => `${verdict} ${evidence}`);

  test('a guest moves if both hosts have the device at its path, and is refused if it is another device there', async (t) => {
    const { lab } = world;
    const device = await loopOf(t, path.join(lab.dir, 'lun'), randomBytes(8 * MIB));
    const other = await loopOf(t, path.join(lab.dir, 'other'), randomBytes(8 * MIB));
    if (device === undefined || other === undefined) return;
    const attach = ['attach-disk', 'web1', device, 'vdb', '--sourcetype', 'block'];
    await virsh(lab, 'a', [...attach, '--cache', 'none', '--live', '--config']);
    const report = await move(world, { guest: 'web1', from: 'a', to: 'b' });
    assert.deepEqual(disks(report.checks), [
      `pass vdb is the block device ${device}, and b has the same one there`,
    ]);
    // What lies there on a is another device from now on.
    await runCommand(await amongMounts(lab, 'a', ['mount', '--bind', other, device]));
    const { hosts } = await world.agent('b').check({ body: { guest: 'web1', to: 'a' } });
    assert.match(disks(hosts[0]?.checks ?? []).join(), /^refuse disk vdb of web1 .*another device/);
    const refused = await refusalOf(world, { guest: 'web1', from: 'b', to: 'a' });
    assert.equal(refused.code, 'GODWIT_DISK_LOCAL');
    assert.deepEqual(await domainStates(lab, 'web1'), [{ host: 'b', status: 'running' }]);
    await runCommand(await amongMounts(lab, 'a', ['umount', device]));
    await move(world, { guest: 'web1', from: 'b', to: 'a' });
    assert.equal((await verifyGuest(lab, 'web1')).ok, true);
    await virsh(lab, 'a', ['detach-disk', 'web1', 'vdb', '--live', '--config']);
  });
});
