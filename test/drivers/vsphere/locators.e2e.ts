import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { VsphereClient } from '../../../src/drivers/vsphere/client.ts';
import { VsphereDriver } from '../../../src/drivers/vsphere/driver.ts';
import { group, ref, text, type Part, type Ref } from '../../../src/drivers/vsphere/soap.ts';
import { taskEnd } from '../../../src/drivers/vsphere/check.ts';
import { Vcsim } from './support/vcsim.ts';

// What the simulated vCenters refuse by themselves, so that a move between them shows something.

const GUEST = 'DC0_C0_RP0_VM0';
const signal = AbortSignal.timeout(120_000);
let one: Vcsim;
let two: Vcsim;
let here: VsphereClient;
let there: VsphereClient;
let vm: Ref;

interface LocatorOverrides {
  readonly thumbprint?: string;
  readonly instance?: string;
  readonly password?: string;
}

/** A specification without networks, of which the vCenter is told so. */
async function specOf({
  thumbprint,
  instance,
  password = 'secret',
}: LocatorOverrides): Promise<Part> {
  const [host] = await there.all('HostSystem', ['datastore', 'parent'], signal);
  assert.ok(host);
  const store = host.properties.get('datastore')?.children[0];
  const parent = host.properties.get('parent');
  const cluster = { type: parent?.attributes['type'] ?? '', value: parent?.text ?? '' };
  const [owner] = await there.retrieve([{ ref: cluster, properties: ['resourcePool'] }], signal);
  const pool = owner?.properties.get('resourcePool');
  const login = [text('username', 'godwit'), text('password', password)];
  const service = [
    text('instanceUuid', instance ?? there.about.instance),
    text('url', two.section.url),
    group('credential', login, 'ServiceLocatorNamePassword'),
    text('sslThumbprint', thumbprint ?? there.certificate?.thumbprint ?? ''),
  ];
  return group('spec', [
    group('service', service),
    ref('datastore', { type: 'Datastore', value: store?.text ?? '' }),
    ref('pool', { type: 'ResourcePool', value: pool?.text ?? '' }),
    ref('host', host.ref),
  ]);
}

/** The fault by which the task of such an order ends. */
async function refusal(said: LocatorOverrides): Promise<string> {
  const parts = [await specOf(said), text('priority', 'defaultPriority')];
  const task = await here.callForRef('RelocateVM_Task', vm, parts, signal);
  const { fault } = await taskEnd(here, task, signal);
  return fault?.type ?? 'none';
}

describe('a vCenter that hands a guest to another one', () => {
  before(async () => {
    one = await Vcsim.open({ guests: 2 });
    two = await Vcsim.open({ name: 'VC2_', guests: 1 });
    here = await VsphereClient.open(one.options, signal);
    there = await VsphereClient.open(two.options, signal);
    const { [GUEST]: guest } = await one.guests();
    vm = { type: 'VirtualMachine', value: guest?.ref ?? '' };
  });

  after(async () => {
    await here?.close();
    await there?.close();
    await one?.close();
    await two?.close();
  });

  test("the vCenter accepts no other certificate than the locator's", async () => {
    assert.equal(await refusal({ thumbprint: 'AA:BB:CC' }), 'SSLVerifyFault');
  });

  test("the vCenter logs in with the locator's credentials, and only at that vCenter", async () => {
    assert.equal(await refusal({ password: 'wrong' }), 'InvalidLogin');
    assert.equal(await refusal({ instance: here.about.instance }), 'InvalidArgument');
  });

  test('the vCenter requires a network there for each card of the guest', async () => {
    assert.equal(await refusal({}), 'CannotAccessNetwork');
  });

  test('the vCenter keeps the guest after a refusal', async () => {
    const { [GUEST]: guest } = await one.guests();
    assert.equal(guest?.moving, false);
    assert.equal((await two.guests())[GUEST], undefined);
    const driver = new VsphereDriver(two.options);
    const options = { host: 'm', busy: new Set<string>(), configured: [], only: GUEST };
    assert.deepEqual(await driver.discover(options, signal), []);
    await driver.close();
  });
});
