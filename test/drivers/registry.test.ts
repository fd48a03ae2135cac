import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseAgentConfig } from '../../src/config.ts';
import {
  allDrivers,
  driverNamed,
  MANAGER_KINDS,
  movedOptions,
  onlyDriver,
} from '../../src/drivers/registry.ts';

const least = { name: 'a', address: '10.0.0.1:7001', stateDir: '/var/lib/godwit' };
const configOf = (more: object) =>
  parseAgentConfig('a.json', JSON.stringify({ ...least, ...more }));

describe('the drivers of a host', () => {
  test('are made from their sections of the configuration, with defaults where it has none', async () => {
    const section = { programs: ['/opt/qemu'], user: 'agent', imageDirs: [] };
    for (const drivers of [undefined, {}, { qemu: {} }, { qemu: section }]) {
      assert.deepEqual(
        (await allDrivers(configOf({ drivers }))).map(({ name }) => name),
        ['qemu'],
      );
    }
  });

  test('a manager is there only where it is configured, and no peer can name it elsewhere', async () => {
    const drivers = { libvirt: {} };
    const all = await allDrivers(configOf({ drivers }));
    assert.deepEqual(
      all.map(({ name }) => name),
      ['qemu', 'libvirt'],
    );
    const { capabilities } = await driverNamed('libvirt', configOf({ drivers }));
    assert.equal(capabilities.shape, 'managed');
    await assert.rejects(driverNamed('libvirt', configOf({})), { code: 'GODWIT_PROTOCOL_INVALID' });
  });

  test('are one alone where its section is all that the host is to have', async () => {
    const drivers = onlyDriver('libvirt', {});
    assert.deepEqual(
      (await allDrivers(configOf({ drivers }))).map(({ name }) => name),
      ['libvirt'],
    );
  });

  test('say which managers a controller takes by their address', () => {
    assert.deepEqual(Object.keys(MANAGER_KINDS), ['vsphere', 'hyperv']);
  });

  test('are switched off by false: none is listed, and no peer can name one', async () => {
    const off = configOf({ drivers: { qemu: false, libvirt: {} } });
    assert.deepEqual(
      (await allDrivers(off)).map(({ name }) => name),
      ['libvirt'],
    );
    for (const name of ['qemu', undefined])
      await assert.rejects(driverNamed(name, off), { code: 'GODWIT_PROTOCOL_INVALID' });
  });

  test('read their options where earlier builds had them, and say once where each belongs', async () => {
    const config = configOf({ qemu: ['/opt/qemu'], qemuUser: 'agent', imageDirs: ['/boot'] });
    assert.equal((await allDrivers(config)).length, 1);
    assert.deepEqual(movedOptions(config), [
      'qemu is now drivers.qemu.programs',
      'qemuUser is now drivers.qemu.user',
      'imageDirs is now drivers.qemu.imageDirs',
    ]);
    assert.deepEqual(movedOptions(configOf({ drivers: { qemu: { user: 'agent' } } })), []);
  });

  test('refuse a section that is wrong, wherever its options are, and one of no driver', async () => {
    const wrong: readonly (readonly [object, RegExp])[] = [
      [{ drivers: { qemu: { program: [] } } }, /program/],
      [{ drivers: { qemu: { user: 'root' } } }, /neither "agent"/],
      [{ qemuUser: 'root' }, /neither "agent"/],
      [{ qemu: 'not a list' }, /programs/],
      [{ drivers: { qemu: [] } }, /drivers\.qemu is not an object/],
      [{ drivers: { vms: {} } }, /drivers\.vms is of no driver; there is qemu/],
      [{ qemu: [], drivers: { qemu: { programs: [] } } }, /are the same: remove qemu/],
    ];
    for (const [more, what] of wrong) {
      await assert.rejects(allDrivers(configOf(more)), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'GODWIT_CONFIG');
        assert.match(error.message, what);
        return true;
      });
    }
  });

  test('one that is none is refused by its name; one that is not named is the first', async () => {
    await assert.rejects(driverNamed('constructor', configOf({})), {
      code: 'GODWIT_PROTOCOL_INVALID',
    });
    assert.equal((await driverNamed(undefined, configOf({}))).name, 'qemu');
  });
});
