import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAKE_DRIVERS } from '../../sim/fake/drivers.ts';
import { parseAgentConfig } from '../../src/config.ts';
import { addDrivers, allDrivers, driverNamed } from '../../src/drivers/registry.ts';

const config = parseAgentConfig(
  'a.json',
  JSON.stringify({
    name: 'a',
    address: '10.0.0.1:7001',
    stateDir: '/var/lib/godwit',
    drivers: { qemu: false, fake: { manager: '/run/manager.sock' } },
  }),
);

test('a configuration selects a fake driver only in a program that has added it', async () => {
  await assert.rejects(allDrivers(config), {
    code: 'GODWIT_CONFIG',
    message: /drivers\.fake is of no driver; there is qemu, libvirt, vsphere, hyperv, criu$/,
  });
  await assert.rejects(driverNamed('fake', config), { code: 'GODWIT_PROTOCOL_INVALID' });
  addDrivers(FAKE_DRIVERS);
  assert.deepEqual(
    (await allDrivers(config)).map(({ name, capabilities }) => [name, capabilities.shape]),
    [['fake', 'managed']],
  );
  assert.equal((await driverNamed('fake', config)).name, 'fake');
});

test('a program cannot replace a driver of the product', () => {
  const { fake } = FAKE_DRIVERS;
  assert.ok(fake !== undefined);
  assert.throws(() => addDrivers({ qemu: fake }), /there is a driver qemu already/);
});
