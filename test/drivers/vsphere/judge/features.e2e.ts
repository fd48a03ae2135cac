import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { VsphereDriver } from '../../../../src/drivers/vsphere/driver.ts';
import { orderOf } from '../../../../src/migration/managed/events.ts';
import { migrationSettings, type Check } from '../../../../src/protocol/public/migration.ts';
import { Vcsim } from '../support/vcsim.ts';

const GUEST = 'DC0_C0_RP0_VM0';
const DEADLINE_MS = 60_000;
let vcenter: Vcsim;
let driver: VsphereDriver;

before(async () => {
  vcenter = await Vcsim.open();
  driver = new VsphereDriver(vcenter.options);
  await vcenter.ask({ do: 'move', name: GUEST, value: 'DC0_C0_H0' });
});
after(async () => {
  await driver?.close();
  await vcenter?.close();
});

async function checksTo(to: string): Promise<Map<string, Check>> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const options = { host: 'm', busy: new Set<string>(), configured: [], only: GUEST };
  const [found] = await driver.discover(options, signal);
  assert.ok(found?.handle);
  const session = await driver.openManaged(found.handle, signal);
  try {
    const settings = migrationSettings.parse({});
    const order = orderOf({ id: 'm-00000001', guest: GUEST, from: 'dc0-c0-h0', to, settings });
    return new Map((await session.check(order, signal)).map((each) => [each.name, each]));
  } finally {
    await session.close();
  }
}

test('a guest whose features the destination has is permitted, and hosts without some are named', async () => {
  const needs = { key: 'runtime.featureRequirement', value: 'cpuid.AES,cpuid.AVX512F' };
  await vcenter.ask({ do: 'guest', name: GUEST, ...needs });
  const has = { key: 'config.featureCapability', value: 'cpuid.Intel,cpuid.AES' };
  await vcenter.ask({ do: 'host', name: 'DC0_C0_H2', ...has });
  const checks = await checksTo('dc0-c0-h1');
  const features = checks.get('features');
  assert.equal(features?.verdict, 'pass', JSON.stringify(features));
  assert.match(features?.evidence ?? '', /uses 2 features.*DC0_C0_H2 lacks cpuid\.AVX512F/);
  assert.equal(checks.has('elsewhere'), false);
  const lacking = (await checksTo('dc0-c0-h2')).get('features');
  assert.equal(lacking?.verdict, 'warn');
  assert.match(lacking?.hint ?? '', /These hosts have all of them: DC0_C0_H0, DC0_C0_H1/);
});

test('a refusal for one host names the hosts that vSphere would accept', async () => {
  const fields = { Level: 1, RegisterName: 'ecx', Sse41: true };
  const faults = [{ type: 'CpuIncompatible1ECX', fields, text: 'not compatible' }];
  await vcenter.ask({ do: 'check', name: 'DC0_C0_H1', faults });
  const checks = await checksTo('dc0-c0-h1');
  assert.equal(checks.get('processor')?.verdict, 'refuse');
  assert.equal(checks.get('elsewhere')?.evidence, 'vSphere would move the guest to DC0_C0_H2');
  await vcenter.ask({ do: 'check', faults });
  const nowhere = (await checksTo('dc0-c0-h1')).get('elsewhere');
  assert.match(nowhere?.evidence ?? '', /names no other host/);
});

test('a check without shown features points to EVC', async () => {
  await vcenter.ask({ do: 'check', faults: [] });
  await vcenter.ask({
    do: 'host',
    name: 'DC0_C0_H1',
    key: 'config.featureCapability',
    value: 'none',
  });
  const features = (await checksTo('dc0-c0-h1')).get('features');
  assert.equal(features?.verdict, 'warn', JSON.stringify(features));
  assert.match(features?.hint ?? '', /EVC modes of both clusters/);
});
