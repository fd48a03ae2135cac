import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { differences } from '../../shapes/differences.ts';

const guest = (spec: object, more: object = {}) => ({
  driver: 'qemu',
  name: 'a',
  memoryBytes: 1,
  vcpus: 1,
  hypervisorVersion: '7.2.22',
  spec,
  ...more,
});

describe('two descriptions of a guest', () => {
  test('two descriptions are equal despite another QEMU, another node order, or an added name', () => {
    const before = guest({ blockNodes: [{ node: 'a' }, { node: 'b' }] });
    const after = guest(
      { name: 'qemu-7', blockNodes: [{ node: 'b' }, { node: 'a' }] },
      { hypervisorVersion: '10.0.2' },
    );
    assert.deepEqual(differences(before, after), []);
  });

  test('two descriptions differ by the path of each value', () => {
    const before = guest({ name: 'x', devices: [{ driver: 'e1000', props: { mac: '1' } }] });
    const after = guest({ name: 'y', devices: [{ driver: 'e1000', props: { mac: '2' } }] });
    assert.deepEqual(differences(before, after), [
      'spec.name: "x" became "y"',
      'spec.devices.0.props.mac: "1" became "2"',
    ]);
  });
});
