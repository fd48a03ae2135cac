import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { freePort, pciBuses } from '../../../../src/drivers/qemu/plug/free-port.ts';

const port = (id: string, devices?: readonly object[]) => ({
  qdev_id: id,
  class_info: { class: 0x06_04, desc: 'PCI bridge' },
  pci_bridge: { bus: { number: 1 }, ...(devices === undefined ? {} : { devices }) },
});
const nic = { qdev_id: 'nic0', class_info: { class: 0x02_00, desc: 'Ethernet controller' } };

function freeOf(...devices: readonly object[]): string | undefined {
  return freePort(pciBuses.parse([{ bus: 0, devices }]));
}

describe('a port for a plugged-in device', () => {
  test('the port is the first empty one', () => {
    assert.equal(freeOf(nic, port('rp0', [nic]), port('rp1', []), port('rp2')), 'rp1');
    assert.equal(freeOf(port('rp2')), 'rp2');
  });

  test('no port is found if all are taken, have no id, or the machine has none', () => {
    assert.equal(freeOf(nic, port('rp0', [nic])), undefined);
    assert.equal(freeOf(port('')), undefined);
    assert.equal(freeOf(nic), undefined);
  });
});
