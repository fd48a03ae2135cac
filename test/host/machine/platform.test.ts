import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { readPlatform } from '../../../src/host/machine/platform.ts';
import { tempDir } from '../../rpc/test-contract.ts';

function places(t: TestContext, dmi: Readonly<Record<string, string>>, flags: string) {
  const dir = tempDir(t);
  const at = (file: string): string => path.join(dir, file);
  mkdirSync(at('dmi'));
  for (const [file, text] of Object.entries(dmi)) writeFileSync(at(`dmi/${file}`), `${text}\n`);
  writeFileSync(at('cpuinfo'), `vendor_id\t: GenuineIntel\nflags\t\t: fpu vme ${flags}\n`);
  return { cpuinfo: at('cpuinfo'), dmi: at('dmi'), kvm: at('kvm') };
}

const SHOWN = [
  ['Amazon EC2', { sys_vendor: 'Amazon EC2', product_name: 'm5.large' }],
  ['Google Cloud', { sys_vendor: 'Google', product_name: 'Google Compute Engine' }],
  [
    'Azure',
    {
      sys_vendor: 'Microsoft Corporation',
      product_name: 'Virtual Machine',
      chassis_asset_tag: '7783-7084-3265-9085-8269-3286-77',
    },
  ],
  ['Hetzner Cloud', { sys_vendor: 'Hetzner', product_name: 'vServer' }],
  ['an OpenStack cloud', { sys_vendor: 'OpenStack Foundation', product_name: 'OpenStack Nova' }],
] as const;

for (const [cloud, dmi] of SHOWN) {
  test(`a machine of ${cloud} is recognized by its firmware`, async (t) => {
    const found = await readPlatform(places(t, dmi, 'hypervisor'));
    assert.equal(found.cloud, cloud);
    assert.equal(found.isVirtual, true);
    assert.equal(found.hasKvm, false);
  });
}

test('a private machine is of no cloud, and a private Hyper-V is not Azure', async (t) => {
  const own = await readPlatform(places(t, { sys_vendor: 'Dell Inc.' }, 'vmx'));
  assert.deepEqual(own, { isVirtual: false, maker: 'Dell Inc.', hasKvm: false });
  const dmi = { sys_vendor: 'Microsoft Corporation', product_name: 'Virtual Machine' };
  assert.equal((await readPlatform(places(t, dmi, 'hypervisor'))).cloud, undefined);
});

test('a kernel that reports nothing about its machine is not an error', async () => {
  const nowhere = { cpuinfo: '/nowhere/cpuinfo', dmi: '/nowhere', kvm: '/nowhere/kvm' };
  assert.deepEqual(await readPlatform(nowhere), { isVirtual: false, hasKvm: false });
});
