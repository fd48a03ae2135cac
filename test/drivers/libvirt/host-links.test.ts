import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDomain } from '../../../src/drivers/libvirt/domain-xml.ts';

const domain = (nic: string): string =>
  `<domain type="qemu"><name>web1</name><uuid>7b0d2f70-6a52-4f5e-9a3e-2c1f5b8e1001</uuid><memory unit="KiB">1024</memory><vcpu>1</vcpu><os><type arch="x86_64" machine="pc-q35-7.2">hvm</type></os><devices>${nic}</devices></domain>`;

test('a NIC has its bridge or device, unless a network of libvirt assigned it: then it belongs to this host', () => {
  const linked = (type: string, source: string) => {
    const nic = `<interface type="${type}"><source ${source}/></interface>`;
    const { facts, why } = readDomain(domain(nic));
    assert.equal(why, undefined);
    return facts?.hostLinks.map(({ device, kind }) => [kind, device]);
  };
  assert.deepEqual(linked('bridge', 'bridge="br0"'), [['bridge', 'br0']]);
  assert.deepEqual(linked('direct', 'dev="eth1" mode="bridge"'), [['device', 'eth1']]);
  // As libvirt has it of a guest that runs: the type is that of what the network gave it.
  assert.deepEqual(linked('bridge', 'network="lan" bridge="br0"'), []);
  assert.deepEqual(linked('direct', 'network="lan" dev="eth1" mode="bridge"'), []);
});
