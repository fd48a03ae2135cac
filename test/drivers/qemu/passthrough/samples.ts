/** What hardware would say that this project has never had: fields as the kernel and QEMU write them. */
import fc from 'fast-check';
import type { HostDevice, PassedThrough } from '../../../../src/drivers/qemu/passthrough/device.ts';

export const VF: PassedThrough = {
  kind: 'pci',
  vendor: '15b3',
  device: '101e',
  subsystemVendor: '15b3',
  subsystemDevice: '0127',
  driver: 'mlx5_vfio_pci',
};

export const VGPU: PassedThrough = {
  kind: 'mdev',
  type: 'nvidia-63',
  typeName: 'GRID T4-2Q',
  driver: 'nvidia-vgpu-vfio',
};

export function hostDevice(change: Partial<HostDevice> = {}): HostDevice {
  return { name: '0000:3b:00.2', what: VF, group: '42', ...change };
}

const digits = fc.stringMatching(/^[0-9a-f]{4}$/);
const few = fc.constantFrom('15b3', '8086', '1dd8');
const driver = fc.constantFrom('mlx5_vfio_pci', 'vfio-pci', 'qat_vfio_pci');

export const anyPassedThrough: fc.Arbitrary<PassedThrough> = fc.oneof(
  fc.record(
    {
      kind: fc.constant('pci' as const),
      vendor: few,
      device: fc.oneof(digits, fc.constant('101e')),
      subsystemVendor: few,
      subsystemDevice: fc.constantFrom('0127', '0001'),
      driver,
      vgpuType: fc.constantFrom('918', '919'),
    },
    {
      requiredKeys: ['kind', 'vendor', 'device', 'subsystemVendor', 'subsystemDevice', 'driver'],
      noNullPrototype: true,
    },
  ),
  fc.record(
    {
      kind: fc.constant('mdev' as const),
      type: fc.constantFrom('nvidia-63', 'nvidia-64', 'i915-GVTg_V5_4'),
      typeName: fc.constantFrom('GRID T4-2Q', 'GRID T4-4Q'),
      driver: fc.constant('nvidia-vgpu-vfio'),
    },
    { requiredKeys: ['kind', 'type', 'driver'], noNullPrototype: true },
  ),
);
