import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sameMachineCheck } from '../../../../src/drivers/qemu/same-machine/check.ts';
import {
  withoutParts,
  type MachineParts,
  type Part,
} from '../../../../src/drivers/qemu/same-machine/machine-parts.ts';

const NIC: Part = { kind: 'device', place: 'q35-pcihost/nic0', type: 'virtio-net-pci', props: {} };

function machine(parts: readonly Part[]): MachineParts {
  return { version: '10.0.2', kinds: ['machine', 'device'], parts: [...parts] };
}

const check = (here: MachineParts, there: unknown) => sameMachineCheck('web1', here, there, 'b');

describe('the parts of a machine', () => {
  test('the parts are the same except for devices unplugged for the move, and devices on their buses', () => {
    const at = (place: string): Part => ({ ...NIC, place });
    const gone = ['q35-pcihost/gpu0', 'q35-pcihost/gpu0/part', 'gpu0 as an object'].map(at);
    const here = machine([NIC, ...gone]);
    assert.equal(check(here, machine([NIC])).verdict, 'refuse');
    assert.equal(check(withoutParts(here, ['gpu0']), machine([NIC])).verdict, 'pass');
    assert.equal(check(withoutParts(here, ['gpu']), machine([NIC])).verdict, 'refuse');
  });

  test('the parts are the same if firmware has moved the ports of its power management', () => {
    const piix = (port: string): Part => ({
      kind: 'device',
      place: 'i440FX-pcihost/PIIX4_PM@pci.0:01.3',
      type: 'PIIX4_PM',
      props: { smb_io_base: port },
    });
    assert.equal(check(machine([piix('1792')]), machine([piix('45312')])).verdict, 'pass');
  });
});
