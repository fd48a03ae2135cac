import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VsphereClient, PropertyRequest } from '../../../src/drivers/vsphere/client.ts';
import { HostsByName } from '../../../src/drivers/vsphere/places.ts';
import type { ObjectContent } from '../../../src/drivers/vsphere/soap.ts';
import { toGodwitError } from '../../../src/errors.ts';

/** A vCenter whose hosts have these names, by their ids; it counts how often all of them are read. */
function vcenterOf(names: Map<string, string>) {
  const asked = { whole: 0, single: 0 };
  const seen = (value: string, name: string): ObjectContent => ({
    ref: { type: 'HostSystem', value },
    properties: new Map([['name', { name: 'val', attributes: {}, children: [], text: name }]]),
  });
  const client = {
    all: () => {
      asked.whole += 1;
      return Promise.resolve([...names].map(([id, name]) => seen(id, name)));
    },
    retrieve: ([{ ref }]: [PropertyRequest]) => {
      asked.single += 1;
      const name = names.get(ref.value);
      return Promise.resolve(name === undefined ? [] : [seen(ref.value, name)]);
    },
  };
  return { asked, hosts: new HostsByName(client as unknown as VsphereClient, { hosts: {} }) };
}

const signal = AbortSignal.timeout(60_000);
const wanted = { guest: 'web1', to: 'esx2-example' };

test('a host is looked up among all names once, and read directly after that', async () => {
  const names = new Map([
    ['host-1', 'esx1.example'],
    ['host-2', 'esx2.example'],
  ]);
  const { asked, hosts } = vcenterOf(names);
  assert.equal((await hosts.named(wanted, signal)).ref.value, 'host-2');
  assert.equal((await hosts.named(wanted, signal)).ref.value, 'host-2');
  assert.deepEqual(asked, { whole: 1, single: 2 });
});

test('a host that was renamed or removed is looked up again', async () => {
  const names = new Map([['host-2', 'esx2.example']]);
  const { asked, hosts } = vcenterOf(names);
  await hosts.named(wanted, signal);
  names.set('host-2', 'esx9.example').set('host-3', 'esx2.example');
  assert.equal((await hosts.named(wanted, signal)).ref.value, 'host-3');
  names.delete('host-3');
  await assert.rejects(hosts.named(wanted, signal), (thrown) => {
    return toGodwitError(thrown).code === 'GODWIT_HOST_UNKNOWN';
  });
  assert.equal(asked.whole, 3);
});

test('two hosts with the same name are both ignored', async () => {
  const { hosts } = vcenterOf(
    new Map([
      ['host-2', 'esx2.example'],
      ['host-3', 'ESX2_example'],
    ]),
  );
  await assert.rejects(hosts.named(wanted, signal), (thrown) => {
    const { code, message } = toGodwitError(thrown);
    return code === 'GODWIT_MANAGER_REFUSES' && /esx2\.example and ESX2_example/.test(message);
  });
});
