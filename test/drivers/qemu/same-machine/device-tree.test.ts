import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseDeviceTree } from '../../../../src/drivers/qemu/same-machine/device-tree.ts';

const TEXT = `bus: main-system-bus
  type System
  dev: hpet, id ""
    gpio-in "" 2
    timers = 3 (0x3)
    mmio 00000000fed00000/0000000000000400
  dev: q35-pcihost, id ""
    pci-hole64-size = 34359738368 (32 GiB)
    bus: pcie.0
      type PCIE
      dev: qemu-xhci, id "usb0"
        addr = 05.0
        class USB controller, addr 00:05.0, pci id 1b36:000d (sub 1af4:1100)
        bar 0: mem at 0xffffffffffffffff [0x3ffe]
        bus: usb0.0
          type usb-bus
          dev: usb-tablet, id ""
            port = ""
            addr 0.0, port 2, speed 480, name QEMU USB Tablet, attached
          dev: usb-tablet, id ""
            port = ""
            addr 0.0, port 1, speed 480, name QEMU USB Tablet, attached
      dev: virtio-blk-pci, id ""
        addr = 03.0
        bus: virtio-bus
          type virtio-pci-bus
          dev: virtio-blk-device, id ""
            drive = "disk0"
            serial = "a, b = \\"c\\""
  dev: smbus-eeprom, id ""
  dev: smbus-eeprom, id ""
`;

describe("the monitor's device tree", () => {
  test('each device has a place that does not depend on the order of its creation', () => {
    const parts = parseDeviceTree(TEXT);
    assert.deepEqual(
      parts.map(({ place }) => place),
      [
        'smbus-eeprom',
        'smbus-eeprom#2',
        'q35-pcihost',
        'q35-pcihost/virtio-blk-pci@pcie.0:03.0',
        'q35-pcihost/virtio-blk-pci@pcie.0:03.0/virtio-blk-device',
        'q35-pcihost/usb0',
        'q35-pcihost/usb0/usb-tablet@usb0.0:1',
        'q35-pcihost/usb0/usb-tablet@usb0.0:2',
        'hpet',
      ],
    );
  });

  test("properties are plain text, and a PCI device has the ids that the guest's drivers use", () => {
    const parts = parseDeviceTree(TEXT);
    const props = (place: string) => parts.find((part) => part.place === place)?.props;
    assert.deepEqual(props('hpet'), { timers: '3' });
    assert.deepEqual(props('q35-pcihost'), { 'pci-hole64-size': '34359738368' });
    assert.deepEqual(props('q35-pcihost/usb0'), {
      addr: '05.0',
      'pci id': '1b36:000d (sub 1af4:1100)',
    });
    assert.equal(
      props('q35-pcihost/virtio-blk-pci@pcie.0:03.0/virtio-blk-device')?.['serial'],
      'a, b = \\"c\\"',
    );
  });

  test('any text is read', () => {
    const line = fc.oneof(
      fc.constantFrom(...TEXT.split('\n')),
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.tuple(fc.nat(12), fc.string()).map(([depth, text]) => `${' '.repeat(depth)}dev: ${text}`),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 60 }), (lines) => {
        const parts = parseDeviceTree(lines.join('\n'));
        const places = parts.map(({ place }) => place);
        assert.ok(places.every((place) => place !== ''));
      }),
    );
  });
});
