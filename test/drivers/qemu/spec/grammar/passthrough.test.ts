import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgePassthrough } from '../../../../../src/drivers/qemu/spec/grammar/judge.ts';
import type { DeviceSpec, GuestSpec } from '../../../../../src/drivers/qemu/spec/schema.ts';
import { VF } from '../../passthrough/samples.ts';

test('a vfio-pci device has its description, and no other device has one', () => {
  const judged = (device: DeviceSpec): number =>
    judgePassthrough({ devices: [device] } as unknown as GuestSpec).length;
  assert.equal(judged({ driver: 'vfio-pci', props: {}, passthrough: VF }), 0);
  assert.equal(judged({ driver: 'e1000', props: {} }), 0);
  assert.equal(judged({ driver: 'vfio-pci', props: {} }), 1);
  assert.equal(judged({ driver: 'e1000', props: {}, passthrough: VF }), 1);
});
