import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { firmwareVariable, readGuestStats, verifyGuest } from '../../lab/guest/talk.ts';
import { virsh } from '../../lab/libvirt/daemon.ts';
import { domainStates, startDomain } from '../../lab/libvirt/guest.ts';
import { ownFiles, ownTree } from '../../lab/libvirt/mounts.ts';
import { labHost } from '../../lab/state.ts';
import { until } from '../until.ts';
import { move } from './support/moves.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
/** Where Debian's package `ovmf` has it, which setup brings. */
const code = '/usr/share/OVMF/OVMF_CODE_4M.fd';
const variables = '/usr/share/OVMF/OVMF_VARS_4M.fd';
const MISSING = existsSync(code) ? false : `no UEFI firmware here (${code}): install ovmf`;
/** Where libvirt keeps the variables of each guest. */
const STORES = '/var/lib/libvirt/qemu/nvram';
/** Firmware and kernel under emulation, on a busy machine. */
const BOOT_MS = 120_000;

describe('a guest of libvirt that was booted by UEFI firmware', { skip: MISSING }, () => {
  let world: World;

  before(async () => {
    world = await openWorld('lvuefi', { hosts: 2, manager: 'libvirt' });
    const guest = { name: 'fw1', host: 'a', memoryBytes: 256 * MIB, workingSetBytes: 16 * MIB };
    await startDomain(world.lab, guest, { code, variables });
  });
  after(() => world?.close());

  const variable = (name: string, value?: string): Promise<string> =>
    firmwareVariable(world.lab, 'fw1', name, value);

  const stores = (host: string): string[] => ownFiles(labHost(world.lab, host), STORES);

  /** The variables that a store holds have their names in it, in UTF-16. */
  async function holds(host: string, name: string): Promise<boolean> {
    const file = path.join(ownTree(labHost(world.lab, host)), STORES, stores(host)[0] ?? '');
    return (await readFile(file)).includes(Buffer.from(name, 'utf16le'));
  }

  async function moved(from: string, to: string, name: string): Promise<void> {
    assert.equal(await variable(name, 'before'), 'before');
    const report = await move(world, { guest: 'fw1', from, to });
    assert.deepEqual(await domainStates(world.lab, 'fw1'), [{ host: to, status: 'running' }]);
    const firmware = report.checks.filter((each) => each.name === 'firmware');
    assert.deepEqual(
      firmware.map(({ verdict }) => verdict),
      ['pass'],
    );
    assert.equal(await variable(name), 'before');
    assert.ok(await holds(to, name), `${name} is not in the store at ${to}`);
    assert.equal(await variable(`${name}There`, 'after'), 'after');
    assert.ok(await holds(to, `${name}There`));
    const found = await verifyGuest(world.lab, 'fw1');
    assert.ok(found.ok, JSON.stringify([found, report.id]));
  }

  test('a guest moves and returns with its variables, and has them after a reboot', async () => {
    await moved('a', 'b', 'First');
    await moved('b', 'a', 'Second');
    const was = await readGuestStats(world.lab, 'fw1');
    await virsh(world.lab, 'a', ['reset', 'fw1']);
    await until('the guest to be up again', BOOT_MS, async () => {
      const now = await readGuestStats(world.lab, 'fw1').catch(() => undefined);
      return now?.ready === true && now.bootId !== was.bootId ? true : undefined;
    });
    for (const name of ['First', 'Second']) {
      assert.equal(await variable(name), 'before');
      assert.equal(await variable(`${name}There`), 'after');
    }
  });
});
