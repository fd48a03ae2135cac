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
  test('the drivers are created from their sections of the configuration, or from defaults', async () => {
    const section = { programs: ['/opt/qemu'], user: 'agent', imageDirs: [] };
    for (const drivers of [undefined, {}, { qemu: {} }, { qemu: section }]) {
      assert.deepEqual(
        (await allDrivers(configOf({ drivers }))).map(({ name }) => name),
        ['qemu'],
      );
    }
  });

  test('a manager exists only if it is configured, and no peer can name it elsewhere', async () => {
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

  test('a single driver is created if its section is the only one requested', async () => {
    const drivers = onlyDriver('libvirt', {});
    assert.deepEqual(
      (await allDrivers(configOf({ drivers }))).map(({ name }) => name),
      ['libvirt'],
    );
  });

  test('the drivers report which managers a controller accepts by their address', () => {
    assert.deepEqual(Object.keys(MANAGER_KINDS), ['vsphere', 'hyperv']);
  });

  test('a driver that is switched off by false is not listed, and no peer can name it', async () => {
    const off = configOf({ drivers: { qemu: false, libvirt: {} } });
    assert.deepEqual(
      (await allDrivers(off)).map(({ name }) => name),
      ['libvirt'],
    );
    for (const name of ['qemu', undefined])
      await assert.rejects(driverNamed(name, off), { code: 'GODWIT_PROTOCOL_INVALID' });
  });

  test('the drivers read options at their old places, and report the right place once', async () => {
    const config = configOf({ qemu: ['/opt/qemu'], qemuUser: 'agent', imageDirs: ['/boot'] });
    assert.equal((await allDrivers(config)).length, 1);
    assert.deepEqual(movedOptions(config), [
      'qemu is now drivers.qemu.programs',
      'qemuUser is now drivers.qemu.user',
      'imageDirs is now drivers.qemu.imageDirs',
    ]);
    assert.deepEqual(movedOptions(configOf({ drivers: { qemu: { user: 'agent' } } })), []);
  });

  test('a wrong section is refused, wherever its options are, and so is one of an unknown driver', async () => {
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

  test('an unknown driver is refused by its name; a guest without a named driver gets the first', async () => {
    await assert.rejects(driverNamed('constructor', configOf({})), {
      code: 'GODWIT_PROTOCOL_INVALID',
    });
    assert.equal((await driverNamed(undefined, configOf({}))).name, 'qemu');
  });
});
